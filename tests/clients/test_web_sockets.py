"""aiohttp's WebSockets: the handshake is a request like any other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from tests.clients.arrived import assert_all, assert_trace_only, receive
from tests.clients.clients import CLIENTS, Instrumented
from tests.clients.server import Received

HOSTS = {"127.0.0.1": assert_all, "127.0.0.2": assert_trace_only}


@pytest.mark.parametrize("host", HOSTS)
async def test_a_handshake_has_what_may_go_there(host: str, installed: Callable[[Instrumented], Any]) -> None:
    received: list[Received] = []

    async def accept(request: web.Request) -> web.WebSocketResponse:
        received.append(Received(request.path, list(request.headers.items())))
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_str("hello")
        await socket.close()
        return socket

    app = web.Application()
    app.router.add_get("/", accept)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, host, 0)
    await site.start()
    port = runner.addresses[0][1]
    installed(CLIENTS["aiohttp"])
    receive()
    try:
        async with aiohttp.ClientSession() as session, session.ws_connect(f"ws://{host}:{port}/") as socket:
            assert await socket.receive_str() == "hello"
    finally:
        await runner.cleanup()
    HOSTS[host](received[0])
