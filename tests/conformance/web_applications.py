"""
Applications of Starlette and FastAPI, each with the job in another place beside its endpoint.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import permutations
from typing import Any, Final, Protocol

from fastapi import BackgroundTasks, Depends, FastAPI, WebSocket
from fastapi.responses import StreamingResponse
from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
from starlette.middleware.base import BaseHTTPMiddleware

import otelctx
from otelctx.integrations.asgi import OtelctxMiddleware


class Work(Protocol):
    """The job that the application does in the place that the row is about."""

    def do(self) -> None:
        """Do it."""

    async def in_task(self) -> None:
        """Do it, or begin something that never ends when it is there to be cancelled."""

    def see(self) -> None:
        """Remember what is seen here, between the job and the edge."""


Build = Callable[[FastAPI, Work], None]


@dataclass(frozen=True)
class Application:
    """
    One application.

    Attributes:
        build: gives an empty application its routes.
        in_thread: the job is done in a worker thread, and not in the task of the request.
        served: it needs a server around it.
        by: the client that calls it.
    """

    name: str
    build: Build
    in_thread: bool = False
    served: bool = False
    by: str = "http"


APPLICATIONS: Final[list[Application]] = []


def web(name: str, **more: Any) -> Callable[[Build], Build]:
    """Add the application that the decorated function builds."""

    def adding(build: Build) -> Build:
        APPLICATIONS.append(Application(name, build, **more))
        return build

    return adding


@web("endpoint, `async def`")
def async_endpoint(app: FastAPI, work: Work) -> None:
    @app.get("/")
    async def endpoint() -> None:
        await work.in_task()


@web("endpoint, `def`", in_thread=True)
def endpoint(app: FastAPI, work: Work) -> None:
    app.get("/")(work.do)


@web("dependency, `async def`")
def async_dependency(app: FastAPI, work: Work) -> None:
    app.get("/", dependencies=[Depends(work.in_task)])(lambda: None)


@web("dependency, `def`", in_thread=True)
def dependency(app: FastAPI, work: Work) -> None:
    app.get("/", dependencies=[Depends(work.do)])(lambda: None)


@web("`yield` dependency, `async def`, before it yields")
def async_yield_dependency(app: FastAPI, work: Work) -> None:
    async def before() -> AsyncIterator[None]:
        await work.in_task()
        yield

    app.get("/", dependencies=[Depends(before)])(lambda: None)


@web("`yield` dependency, `def`, before it yields", in_thread=True)
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


@web("`yield` dependency, `def`, after the response", in_thread=True)
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


@web("`BackgroundTasks`, `def`", in_thread=True)
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


@web("exception handler, `def`", in_thread=True)
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


@web("streaming response, body from a generator", in_thread=True)
def streaming(app: FastAPI, work: Work) -> None:
    def body() -> Iterator[bytes]:
        yield b"a"
        work.do()
        yield b"b"

    app.get("/")(lambda: StreamingResponse(body()))


@web("WebSocket endpoint", by="websocket")
def websocket(app: FastAPI, work: Work) -> None:
    @app.websocket("/")
    async def endpoint(socket: WebSocket) -> None:
        await socket.accept()
        await work.in_task()
        await socket.close()


@web("worker from `lifespan`, items made with `snapshot().wrap`", in_thread=True, served=True)
def lifespan_worker(app: FastAPI, work: Work) -> None:
    items: asyncio.Queue[Any] = asyncio.Queue()

    async def consume() -> None:
        while True:
            job, done = await items.get()
            try:
                done.set_result(await job())
            except Exception as error:  # noqa: BLE001 - it belongs to the item
                done.set_exception(error)
            del job, done

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        worker = asyncio.create_task(consume())
        yield
        worker.cancel()

    app.router.lifespan_context = lifespan

    @app.get("/")
    async def endpoint() -> None:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        items.put_nowait((otelctx.snapshot().wrap(work.in_task), done))
        await done


MIDDLEWARE: Final = {
    "otelctx": lambda app, work: app.add_middleware(OtelctxMiddleware),
    "OpenTelemetry": lambda app, work: app.add_middleware(OpenTelemetryMiddleware),
    "`BaseHTTPMiddleware`": lambda app, work: app.add_middleware(BaseHTTPMiddleware, dispatch=_seeing(work)),
}


def _seeing(work: Work) -> Callable[..., Any]:
    async def dispatch(request: Any, call_next: Any) -> Any:
        response = await call_next(request)
        work.see()
        return response

    return dispatch


def _ordered(order: tuple[str, ...]) -> None:
    @web(f"middleware: {', '.join(order)}", served=True)
    def in_order(app: FastAPI, work: Work) -> None:
        # What is added last stands outermost.
        for name in reversed(order):
            MIDDLEWARE[name](app, work)
        app.get("/")(work.in_task)


for _order in permutations(MIDDLEWARE):
    _ordered(_order)
