"""
Rows: what a Starlette or FastAPI application runs beside its endpoint, called in process. The submitter is the caller.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import suppress
from functools import partial
from typing import Any, Final

import httpx
from fastapi import FastAPI

from tests.conformance.boundary import Crossing, Opening, Rows
from tests.conformance.rows_threads import NOT_CANCELLED
from tests.conformance.runners import on_asyncio, on_uvloop
from tests.conformance.web_applications import APPLICATIONS, Application

ROWS = Rows()

GROUPS: Final = {"web, in process": on_asyncio, "web, in process on uvloop": on_uvloop}


class Work:
    """The job that the application does in the place that the row is about."""

    def __init__(self) -> None:
        self._job: Callable[[], Any] = lambda: None
        self._running: asyncio.Event | None = None
        self.result: Any = None

    def do(self) -> None:
        """Do it."""
        self.result = self._job()

    async def in_task(self) -> None:
        """Do it, or begin something that never ends when it is there to be cancelled."""
        if self._running is not None:
            self._running.set()
            await asyncio.Event().wait()
        self.do()

    def see(self) -> None:
        """See nothing: there is nobody between the job and the caller."""

    def crossing(self, call: Callable[[], Awaitable[object]], *, cancellable: bool) -> Crossing:
        async def cross(job: Any, *args: Any) -> Any:
            self._job, self.result = partial(job, *args), None
            try:
                await call()
                return self.result
            finally:
                self._job = lambda: None

        async def cancel() -> None:
            self._running = asyncio.Event()
            calling = asyncio.ensure_future(call())
            await self._running.wait()
            calling.cancel()
            with suppress(asyncio.CancelledError):
                await calling
            self._running = None
            # A turn for what they have scheduled who were cancelled.
            await asyncio.sleep(0)

        return Crossing(cross, cancel if cancellable else None)


async def _by_websocket(app: FastAPI) -> None:
    async def receive() -> MutableMapping[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: MutableMapping[str, Any]) -> None:
        assert message["type"] in {"websocket.accept", "websocket.close"}

    scope = {"type": "websocket", "path": "/", "headers": [], "query_string": b"", "subprotocols": []}
    await app(scope, receive, send)


def _opening(application: Application) -> Opening:
    async def opened() -> AsyncIterator[Crossing]:
        app, work = FastAPI(), Work()
        application.build(app, work)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
            call: Callable[[], Awaitable[object]] = partial(client.get, "/")
            if application.by == "websocket":
                call = partial(_by_websocket, app)
            yield work.crossing(call, cancellable=not application.in_thread)

    return opened


for _application in APPLICATIONS:
    for _group, _run in GROUPS.items():
        if not _application.served:
            _without = {"cancel": NOT_CANCELLED} if _application.in_thread else {}
            # Without a thread it is all one task, the caller's.
            _inline = not _application.in_thread
            ROWS.add(_group, _application.name, _run, inline=_inline, **_without)(_opening(_application))
