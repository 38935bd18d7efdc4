import logging

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

logging.basicConfig(level=logging.INFO)
log = logging.getLogger("app")


async def item(request):
    log.info("handling %s", request.path_params["item"])
    return PlainTextResponse("ok")


def boom(request):
    raise RuntimeError("boom")


app = Starlette(routes=[Route("/items/{item}", item), Route("/boom", boom)])
