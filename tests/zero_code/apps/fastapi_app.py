import logging

from fastapi import FastAPI

logging.basicConfig(level=logging.INFO)
log = logging.getLogger("app")
app = FastAPI()


@app.get("/items/{item}")
async def item(item: str) -> str:
    log.info("handling %s", item)
    return "ok"


@app.get("/boom")
def boom() -> None:
    raise RuntimeError("boom")
