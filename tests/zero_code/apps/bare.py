"""A bare ASGI callable that knows nothing of otelctx, as most applications do not."""

import logging

logging.basicConfig(level=logging.INFO)
log = logging.getLogger("app")


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    if scope["path"] == "/boom":
        raise RuntimeError("boom")
    log.info("handling %s", scope["path"])
    found = scope["path"].startswith("/items/")
    await send({"type": "http.response.start", "status": 200 if found else 404, "headers": []})
    await send({"type": "http.response.body", "body": b"ok"})
