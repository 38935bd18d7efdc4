import logging

from quart import Quart

logging.basicConfig(level=logging.INFO)
log = logging.getLogger("app")
app = Quart(__name__)


@app.get("/items/<item>")
async def item(item):
    log.info("handling %s", item)
    return "ok"


@app.get("/boom")
def boom():
    raise RuntimeError("boom")
