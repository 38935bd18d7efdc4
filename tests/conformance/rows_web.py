"""
Rows: what a Starlette or FastAPI application runs beside its endpoint. The submitter is whoever calls the application.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, MutableMapping
from contextlib import suppress
from functools import partial
from typing import Any, Final

import httpx
from fastapi import BackgroundTasks, Depends, FastAPI, WebSocket
from fastapi.responses import StreamingResponse
from starlette.middleware.base import BaseHTTPMiddleware

from tests.conformance.boundary import Crossing, Rows
from tests.conformance.rows_threads import NOT_CANCELLED
from tests.conformance.runners import on_asyncio, on_uvloop

ROWS = Rows()

GROUPS: Final = {"web": on_asyncio, "web on uvloop": on_uvloop}


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


Build = Callable[[FastAPI, Work], None]


def web(name: str, **without: str) -> Callable[[Build], Build]:
    """Add a row for each loop, with the application that the decorated function builds."""

    def adding(build: Build) -> Build:
        async def opened() -> AsyncIterator[Crossing]:
            app, work = FastAPI(), Work()
            build(app, work)
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
                yield work.crossing(lambda: client.get("/"), cancellable="cancel" not in without)

        for group, run in GROUPS.items():
            # Without a thread it is all one task, the caller's.
            ROWS.add(group, name, run, inline="cancel" not in without, **without)(opened)
        return build

    return adding


@web("endpoint, `async def`")
def async_endpoint(app: FastAPI, work: Work) -> None:
    @app.get("/")
    async def endpoint() -> None:
        await work.in_task()


@web("endpoint, `def`", cancel=NOT_CANCELLED)
def endpoint(app: FastAPI, work: Work) -> None:
    app.get("/")(work.do)


@web("dependency, `async def`")
def async_dependency(app: FastAPI, work: Work) -> None:
    app.get("/", dependencies=[Depends(work.in_task)])(lambda: None)


@web("dependency, `def`", cancel=NOT_CANCELLED)
def dependency(app: FastAPI, work: Work) -> None:
    app.get("/", dependencies=[Depends(work.do)])(lambda: None)


@web("`yield` dependency, `async def`, before it yields")
def async_yield_dependency(app: FastAPI, work: Work) -> None:
    async def before() -> AsyncIterator[None]:
        await work.in_task()
        yield

    app.get("/", dependencies=[Depends(before)])(lambda: None)


@web("`yield` dependency, `def`, before it yields", cancel=NOT_CANCELLED)
def yield_dependency(app: FastAPI, work: Work) -> None:
    def before() -> Iterator[None]:
        work.do()
        yield

    app.get("/", dependencies=[Depends(before)])(lambda: None)


@web("`yield` dependency, `async def`, after the response")
def async_yield_dependency_after(app: FastAPI, work: Work) -> None:
    async def after() -> AsyncIterator[None]:
        yield
        await work.in_task()

    app.get("/", dependencies=[Depends(after)])(lambda: None)


@web("`yield` dependency, `def`, after the response", cancel=NOT_CANCELLED)
def yield_dependency_after(app: FastAPI, work: Work) -> None:
    def after() -> Iterator[None]:
        yield
        work.do()

    app.get("/", dependencies=[Depends(after)])(lambda: None)


@web("`BackgroundTasks`, `async def`")
def async_background(app: FastAPI, work: Work) -> None:
    @app.get("/")
    def endpoint(tasks: BackgroundTasks) -> None:
        tasks.add_task(work.in_task)


@web("`BackgroundTasks`, `def`", cancel=NOT_CANCELLED)
def background(app: FastAPI, work: Work) -> None:
    @app.get("/")
    def endpoint(tasks: BackgroundTasks) -> None:
        tasks.add_task(work.do)


@web("`BaseHTTPMiddleware`, the endpoint below two of them")
def below_middleware(app: FastAPI, work: Work) -> None:
    async def pass_on(request: Any, call_next: Any) -> Any:
        return await call_next(request)

    app.add_middleware(BaseHTTPMiddleware, dispatch=pass_on)
    app.add_middleware(BaseHTTPMiddleware, dispatch=pass_on)
    app.get("/")(work.in_task)


@web("`BaseHTTPMiddleware`, itself")
def in_middleware(app: FastAPI, work: Work) -> None:
    async def work_and_pass_on(request: Any, call_next: Any) -> Any:
        await work.in_task()
        return await call_next(request)

    app.add_middleware(BaseHTTPMiddleware, dispatch=work_and_pass_on)
    app.get("/")(lambda: None)


@web("exception handler, `async def`")
def async_exception_handler(app: FastAPI, work: Work) -> None:
    async def handle(*_: Any) -> Any:
        await work.in_task()
        return StreamingResponse([])

    _failing(app, handle)


@web("exception handler, `def`", cancel=NOT_CANCELLED)
def exception_handler(app: FastAPI, work: Work) -> None:
    def handle(*_: Any) -> Any:
        work.do()
        return StreamingResponse([])

    _failing(app, handle)


def _failing(app: FastAPI, handle: Callable[..., Any]) -> None:
    def fail() -> None:
        raise KeyError

    app.add_exception_handler(KeyError, handle)
    app.get("/")(fail)


@web("streaming response, body from an async generator")
def async_streaming(app: FastAPI, work: Work) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b"a"
        await work.in_task()
        yield b"b"

    app.get("/")(lambda: StreamingResponse(body()))


@web("streaming response, body from a generator", cancel=NOT_CANCELLED)
def streaming(app: FastAPI, work: Work) -> None:
    def body() -> Iterator[bytes]:
        yield b"a"
        work.do()
        yield b"b"

    app.get("/")(lambda: StreamingResponse(body()))


async def _websocket() -> AsyncIterator[Crossing]:
    app, work = FastAPI(), Work()

    @app.websocket("/")
    async def endpoint(socket: WebSocket) -> None:
        await socket.accept()
        await work.in_task()
        await socket.close()

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: MutableMapping[str, Any]) -> None:
        assert message["type"] in {"websocket.accept", "websocket.close"}

    scope = {"type": "websocket", "path": "/", "headers": [], "query_string": b"", "subprotocols": []}
    yield work.crossing(lambda: app(dict(scope), receive, send), cancellable=True)


for _group, _run in GROUPS.items():
    ROWS.add(_group, "WebSocket endpoint", _run, inline=True)(_websocket)
