import logging

from litestar import Litestar, get

logging.basicConfig(level=logging.INFO)
log = logging.getLogger("app")


@get("/items/{item:str}")
async def item(item: str) -> str:
    log.info("handling %s", item)
    return "ok"


@get("/boom", sync_to_thread=True)
def boom() -> None:
    log.info("about to fail")
    raise RuntimeError("boom")


app = Litestar(route_handlers=[item, boom])
