"""
An ASGI application and its requests, in this process: what a server does around them takes less than a microsecond.

Each request has a context of its own, as it has in a task of a server. Nothing in it waits, so that no event loop has
to come round; one is running, because some contenders ask for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextvars import copy_context
from itertools import repeat
from typing import Any, Final

from benchmarks.harness.case import Work

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[dict[str, Any], Receive, Send], Awaitable[None]]

REQUEST_ID: Final = "8b6c1d0a-4a3e-4f0b-9d1e-2f7c5a9e6b34"
TRACEPARENT: Final = (b"traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
_HEADERS: Final = (
    (b"host", b"127.0.0.1:8000"),
    (b"user-agent", b"Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"),
    (b"accept", b"application/json"),
    (b"accept-encoding", b"gzip, deflate, br"),
    (b"connection", b"keep-alive"),
    (b"x-request-id", REQUEST_ID.encode()),
)


def scope(number: int, more: Iterable[tuple[bytes, bytes]] = (TRACEPARENT,)) -> dict[str, Any]:
    """Return what uvicorn says of a request; its path and port differ from those of the one before."""
    path = f"/orders/{number % 1000}"
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "server": ("127.0.0.1", 8000),
        "client": ("127.0.0.1", 40_000 + number % 64),
        "scheme": "http",
        "method": "GET",
        "root_path": "",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [*_HEADERS, *more],
        "state": {},
    }


async def receive() -> Message:
    """Return the empty body of a request."""
    return {"type": "http.request", "body": b"", "more_body": False}


async def send(message: Message) -> None:
    """Take a message, as a server does."""


def answering(work: Callable[[], object]) -> App:
    """Return an application that does *work* and answers."""

    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:  # noqa: ARG001 - the interface
        work()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})

    return app


def serving(app: App, more: Iterable[tuple[bytes, bytes]] = (TRACEPARENT,)) -> Work:
    """Return the work that is a request to *app*."""
    loop = asyncio.new_event_loop()

    async def serve(calls: int) -> None:
        for number, _ in enumerate(repeat(None, calls)):
            request: Any = app(scope(number, more), receive, send)
            try:
                copy_context().run(request.send, None)
            except StopIteration:
                continue
            raise RuntimeError("a request has waited for something")

    def work(calls: int) -> None:
        loop.run_until_complete(serve(calls))

    return work
