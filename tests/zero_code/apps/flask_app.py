import logging

from flask import Flask

logging.basicConfig(level=logging.INFO)
log = logging.getLogger("app")
app = Flask(__name__)


@app.get("/items/<item>")
def item(item):
    log.info("handling %s", item)
    return "ok"


@app.get("/boom")
def boom():
    raise RuntimeError("boom")
