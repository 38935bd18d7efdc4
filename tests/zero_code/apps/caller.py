"""A bare ASGI callable that calls another service, and shows what it was called with; it knows nothing of otelctx."""

import json
import logging
import os
from urllib.parse import parse_qs

import httpx

written = logging.StreamHandler()
written.setFormatter(logging.Formatter("%(message)s request_id=%(request_id)s", defaults={"request_id": "unknown"}))
logging.basicConfig(level=logging.INFO, handlers=[written])
log = logging.getLogger("app")


async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    headers = {name.decode(): value.decode() for name, value in scope["headers"]}
    if scope["path"] == "/call":
        (url,) = parse_qs(scope["query_string"].decode())["url"]
        log.info("calling")
        async with httpx.AsyncClient() as client:
            body = (await client.get(url)).json()
    else:
        log.info("called")
        body = {"pid": os.getpid(), **headers}
    start = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]}
    await send(start)
    await send({"type": "http.response.body", "body": json.dumps(body).encode()})
