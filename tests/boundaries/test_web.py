"""Starlette and FastAPI: what runs beside the endpoint is in the request, and its generators keep to themselves."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Any

import httpx
import pytest
from fastapi import BackgroundTasks, Depends, FastAPI
from fastapi.dependencies import utils as dependencies
from fastapi.responses import StreamingResponse
from opentelemetry.trace import Tracer, get_current_span
from starlette import responses
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import Response

import otelctx
from otelctx import bind, get, request
from otelctx.boundaries import generators, threads, web
from otelctx.integrations.asgi import OtelctxMiddleware


@pytest.fixture(autouse=True)
def _installed(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    names = (responses, "iterate_in_threadpool"), (dependencies, "contextmanager_in_threadpool")
    before = [getattr(*name) for name in names]
    patches = (*web.streaming(responses), *web.dependencies(dependencies))
    for boundary in (generators, threads, *patches):
        boundary.install()
    yield
    for boundary in (generators, threads, *patches):
        boundary.uninstall()
    assert [getattr(*name) for name in names] == before
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


async def answer_of(app: Any, path: str = "/", user: str = "alice") -> str:
    async def served(scope: Any, receive: Any, send: Any) -> None:
        with request(user_id=user):
            await app(scope, receive, send)

    transport = httpx.ASGITransport(served)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        return (await client.get(path)).text


async def test_a_synchronous_yield_dependency_has_both_its_halves_in_one_context(tracer: Tracer) -> None:
    seen: list[object] = []

    def dependency() -> Iterator[None]:
        with tracer.start_as_current_span("dependency") as span, bind(step="dependency"):
            otelctx.set(user_id="authenticated")
            yield
            seen.extend((get("step"), get_current_span() is span))
        seen.append(get("step"))

    app = FastAPI()

    @app.get("/", dependencies=[Depends(dependency)])
    def endpoint() -> object:
        return get("user_id"), get("step")

    assert await answer_of(app) == '["authenticated",null]'
    assert seen == ["dependency", True, None]


async def test_a_synchronous_yield_dependency_sees_what_the_endpoint_has_set_in_other_variables() -> None:
    own: ContextVar[str] = ContextVar("own", default="")
    others: ContextVar[str] = ContextVar("others", default="")
    both: ContextVar[str] = ContextVar("both", default="")
    seen: list[object] = []

    def dependency() -> Iterator[None]:
        for variable in (own, both):
            variable.set("dependency")
        with bind(step="dependency"):
            yield
            seen.extend((own.get(), others.get(), both.get(), get("step")))

    app = FastAPI()

    @app.get("/", dependencies=[Depends(dependency)])
    async def endpoint() -> None:
        for variable in (others, both):
            variable.set("endpoint")

    await answer_of(app)
    assert seen == ["dependency", "endpoint", "endpoint", "dependency"]


async def test_a_synchronous_yield_dependency_sees_the_exception() -> None:
    seen: list[object] = []

    def dependency() -> Iterator[None]:
        with bind(step="dependency"):
            try:
                yield
            except KeyError:
                seen.append(get("step"))
                raise

    app = FastAPI()

    @app.get("/", dependencies=[Depends(dependency)])
    async def endpoint() -> None:
        raise KeyError

    with pytest.raises(KeyError):
        await answer_of(app)
    assert seen == ["dependency"]


async def test_a_synchronous_streaming_body_sees_its_own_at_each_step(tracer: Tracer) -> None:
    def body() -> Iterator[str]:
        with tracer.start_as_current_span("body") as span, bind(step="body"):
            for _ in range(3):
                yield f"{get('user_id')} {get('step')} {get_current_span() is span};"
        yield str(get("step"))

    app = FastAPI()

    @app.get("/")
    def endpoint() -> StreamingResponse:
        return StreamingResponse(body())

    assert await answer_of(app) == "alice body True;" * 3 + "None"


async def test_an_asynchronous_streaming_body_does_too(tracer: Tracer) -> None:
    async def body() -> AsyncIterator[str]:
        with tracer.start_as_current_span("body") as span, bind(step="body"):
            for _ in range(3):
                await asyncio.sleep(0)
                yield f"{get('user_id')} {get('step')} {get_current_span() is span};"

    app = FastAPI()

    @app.get("/")
    async def endpoint() -> StreamingResponse:
        return StreamingResponse(body())

    assert await answer_of(app) == "alice body True;" * 3


async def test_a_streaming_body_whose_client_goes_away_leaves_nothing(tracer: Tracer) -> None:
    def body() -> Iterator[str]:
        with tracer.start_as_current_span("body"), bind(step="body"):
            while True:
                yield "more"

    async def send(message: Any) -> None:
        if message.get("body"):
            raise OSError

    async def receive() -> dict[str, str]:
        return {"type": "http.request"}

    scope = {"type": "http", "asgi": {"spec_version": "2.4"}, "method": "GET", "headers": []}
    with request(user_id="alice"), pytest.raises(responses.ClientDisconnect):
        await StreamingResponse(body())(scope, receive, send)
    assert (get("step"), get("user_id")) == (None, None)


@pytest.mark.parametrize("innermost", [True, False])
async def test_the_order_of_middleware_does_not_matter(innermost: bool) -> None:
    seen: list[object] = []

    async def middleware(_: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        response = await call_next(_)
        seen.append(get("user_id"))
        return response

    def authenticate() -> None:
        otelctx.set(user_id="authenticated")

    app = FastAPI(dependencies=[Depends(authenticate)] if innermost else None)
    app.add_middleware(BaseHTTPMiddleware, dispatch=middleware)
    app.add_middleware(OtelctxMiddleware, traced=False)

    @app.get("/")
    def endpoint(tasks: BackgroundTasks) -> object:
        authenticate()
        tasks.add_task(lambda: seen.append(get("user_id")))
        return get("user_id")

    assert await answer_of(app, user="outer") == '"authenticated"'
    assert seen == ["authenticated"] * 2


async def test_a_worker_that_the_lifespan_started_serves_each_item_in_its_own_request() -> None:
    queue: asyncio.Queue[tuple[Callable[[], object], asyncio.Future[object]]] = asyncio.Queue()

    async def work() -> None:
        while True:
            item, done = await queue.get()
            done.set_result((item(), get("user_id")))

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        worker = asyncio.create_task(work())
        yield
        worker.cancel()

    app = FastAPI(lifespan=lifespan)

    @app.get("/")
    async def endpoint() -> object:
        done: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        await queue.put((otelctx.wrap(lambda: get("user_id")), done))
        return await done

    async with lifespan(app):
        assert await answer_of(app, user="alice") == '["alice",null]'
        assert await answer_of(app, user="bob") == '["bob",null]'
