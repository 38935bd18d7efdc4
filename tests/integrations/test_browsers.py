"""
Browsers: a response has the headers that the application gives it, the echo, and no other.

A header that scripts of another origin send, or are to read, is for the application's CORS settings to allow.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from flask import Flask
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route

import otelctx
from otelctx import Field, declare
from otelctx.integrations.asgi import OtelctxMiddleware
from otelctx.integrations.wsgi import OtelctxMiddleware as WsgiMiddleware

ORIGIN = {"origin": "https://shop.example"}
SENT = {**ORIGIN, "x-request-id": "r1", "traceparent": f"00-{'1' * 32}-{'2' * 16}-01", "baggage": "user_id=alice,a=b"}
PREFLIGHT = {**ORIGIN, "access-control-request-method": "GET", "access-control-request-headers": "x-request-id,baggage"}

pytestmark = pytest.mark.usefixtures("spans")


async def _plain(_: Request) -> PlainTextResponse:
    otelctx.set(user_id="bob", tenant="acme")
    return PlainTextResponse("ok")


async def _stream(_: Request) -> StreamingResponse:
    return StreamingResponse(iter([b"o", b"k"]))


async def _fails(_: Request) -> PlainTextResponse:
    raise RuntimeError


def _asgi() -> Any:
    cors = Middleware(CORSMiddleware, allow_origins=[ORIGIN["origin"]], allow_headers=["x-request-id"])
    routes = [Route("/plain", _plain), Route("/stream", _stream), Route("/fails", _fails)]
    return Starlette(routes=routes, middleware=[cors])


def _flask() -> Any:
    app = Flask(__name__)

    @app.get("/plain")
    def plain() -> str:
        otelctx.set(user_id="bob", tenant="acme")
        return "ok"

    @app.get("/stream")
    def stream() -> Any:
        return app.response_class(iter([b"o", b"k"]))

    @app.get("/fails")
    def fails() -> str:
        raise RuntimeError

    return app


def _over_asgi(app: Any) -> httpx.AsyncBaseTransport:
    return httpx.ASGITransport(app, raise_app_exceptions=False, client=("127.0.0.1", 1))


Kind = tuple[Callable[[], Any], Callable[[Any], Any]]
ASGI: Kind = (_asgi, OtelctxMiddleware)
WSGI: Kind = (_flask, WsgiMiddleware)


async def answers(app: Any, kind: Kind, method: str, path: str, headers: dict[str, str]) -> httpx.Headers:
    if kind is ASGI:
        async with httpx.AsyncClient(transport=_over_asgi(app), base_url="http://app") as client:
            return (await client.request(method, path, headers=headers)).headers
    with httpx.Client(transport=httpx.WSGITransport(app, remote_addr="127.0.0.1"), base_url="http://app") as client:
        return client.request(method, path, headers=headers).headers


@pytest.mark.parametrize("kind", [ASGI, WSGI], ids=["ASGI", "WSGI"])
@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("GET", "/plain", SENT),
        ("GET", "/plain", {}),
        ("GET", "/stream", SENT),
        ("GET", "/nowhere", SENT),
        ("GET", "/fails", SENT),
        ("OPTIONS", "/plain", PREFLIGHT),
    ],
)
async def test_nothing_but_the_echo_is_added(kind: Kind, method: str, path: str, headers: dict[str, str]) -> None:
    declare(Field("tenant", remote=True, header="x-tenant"))
    make, edge = kind
    without = await answers(make(), kind, method, path, headers)
    within = await answers(edge(make()), kind, method, path, headers)
    assert set(within) - set(without) == {"x-request-id"}
    assert {name: within[name] for name in without} == dict(without)
    if "x-request-id" in headers:
        assert within.get_list("x-request-id") == ["r1"]


async def test_what_a_preflight_may_ask_for_is_the_application_s_to_say() -> None:
    allowed = (await answers(OtelctxMiddleware(_asgi()), ASGI, "OPTIONS", "/plain", PREFLIGHT)).multi_items()
    assert "access-control-expose-headers" not in dict(allowed)
    assert "baggage" not in dict(allowed)["access-control-allow-headers"].lower()
