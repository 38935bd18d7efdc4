"""
An application that calls out through every client it has, all at once, for each request that it answers.

Each client calls a trusted server, which sends it on to an untrusted one; those that follow no redirect call both.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from urllib.request import ProxyHandler, build_opener

import aiohttp
import botocore.session
import grpc
import grpc.aio
import httpx
import requests
import telltale
import urllib3
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

import otelctx

# For each protocol the URLs of the trusted and of the untrusted server.
PLACES: dict[str, tuple[str, str]] = json.loads(os.environ["PLACES"])

Call = Callable[[str], Any]
CLIENTS: dict[str, Call] = {}
ASYNCHRONOUS: dict[str, Callable[[str], Awaitable[Any]]] = {}


class Transport(httpx.BaseTransport):
    def __init__(self) -> None:
        self._inner = httpx.HTTPTransport()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return self._inner.handle_request(request)


class AsyncTransport(httpx.AsyncBaseTransport):
    def __init__(self) -> None:
        self._inner = httpx.AsyncHTTPTransport()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return await self._inner.handle_async_request(request)


def mark(request: httpx.Request) -> None:
    request.headers["x-mark"] = "1"


async def mark_async(request: httpx.Request) -> None:
    request.headers["x-mark"] = "1"


def through_httpx(client: httpx.Client, protocol: str = "http") -> Call:
    return lambda path: client.get(redirecting(path, protocol)).raise_for_status()


def one_at_a_time(call: Call) -> Call:
    """
    Return *call* for threads that share an HTTP/2 connection of httpcore, which mixes up what they send at once.

    https://github.com/encode/httpx/issues/3072
    """
    lock = threading.Lock()

    def alone(path: str) -> Any:
        with lock:
            return call(path)

    return alone


def through_httpx_async(client: httpx.AsyncClient, protocol: str = "http") -> Callable[[str], Awaitable[Any]]:
    async def call(path: str) -> None:
        (await client.get(redirecting(path, protocol))).raise_for_status()

    return call


def redirecting(path: str, protocol: str = "http") -> str:
    trusted, untrusted = PLACES[protocol]
    return f"{trusted}/to?{untrusted}{path}"


def through_requests(session: requests.Session) -> Call:
    return lambda path: session.get(redirecting(path), timeout=30).raise_for_status()


def through_urllib3(pools: urllib3.PoolManager) -> Call:
    def call(path: str) -> None:
        assert pools.request("GET", redirecting(path)).status == 200

    return call


def through_urllib(opener: Any) -> Call:
    def call(path: str) -> None:
        with opener.open(redirecting(path), timeout=30) as answer:
            answer.read()

    return call


def through_botocore() -> Call:
    session = botocore.session.get_session()
    session.set_credentials("key", "secret")
    places = [session.create_client("s3", region_name="eu-west-1", endpoint_url=url) for url in PLACES["http"]]

    def call(path: str) -> None:
        _, name, number = path.split("/")
        for place in places:
            place.get_object(Bucket=name, Key=number)["Body"].read()

    return call


def through_grpc() -> Call:
    channels = [grpc.insecure_channel(target) for target in PLACES["grpc"]]

    def call(path: str) -> None:
        for channel in channels:
            channel.unary_unary(f"{path}/unary_unary")(b"", timeout=30)

    return call


def through_grpc_async() -> Callable[[str], Awaitable[Any]]:
    channels = [grpc.aio.insecure_channel(target) for target in PLACES["grpc"]]

    async def call(path: str) -> None:
        for channel in channels:
            await channel.unary_unary(f"{path}/unary_unary")(b"", timeout=30)

    return call


def through_aiohttp(session: aiohttp.ClientSession) -> Callable[[str], Awaitable[Any]]:
    async def call(path: str) -> None:
        async with session.get(redirecting(path)) as answer:
            answer.raise_for_status()

    return call


@contextlib.asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    follow = {"follow_redirects": True, "timeout": 30}
    CLIENTS.update(
        {
            "httpx": through_httpx(httpx.Client(**follow)),
            "httpx-2": one_at_a_time(through_httpx(httpx.Client(**follow, http1=False, http2=True), "http2")),
            "httpx-transport": through_httpx(httpx.Client(**follow, transport=Transport())),
            "httpx-hooks": through_httpx(httpx.Client(**follow, event_hooks={"request": [mark]})),
            "requests": through_requests(requests.Session()),
            "urllib3": through_urllib3(urllib3.PoolManager(maxsize=8)),
            "urllib": through_urllib(build_opener(ProxyHandler({}))),
            "botocore": through_botocore(),
            "grpc": through_grpc(),
        }
    )
    ASYNCHRONOUS.update(
        {
            "httpx-async": through_httpx_async(httpx.AsyncClient(**follow)),
            "httpx-async-2": through_httpx_async(httpx.AsyncClient(**follow, http1=False, http2=True), "http2"),
            "httpx-async-transport": through_httpx_async(httpx.AsyncClient(**follow, transport=AsyncTransport())),
            "httpx-async-hooks": through_httpx_async(
                httpx.AsyncClient(**follow, event_hooks={"request": [mark_async]})
            ),
            "aiohttp": through_aiohttp(aiohttp.ClientSession()),
            "grpc-async": through_grpc_async(),
        }
    )
    yield


def login(number: int) -> None:
    """Set the fields in another thread, as a synchronous dependency does."""
    otelctx.set(user_id=telltale.value("user_id", number), tenant=telltale.value("tenant", number))


async def serve(request: Request) -> PlainTextResponse:
    number = int(request.path_params["number"])
    await run_in_threadpool(login, number)
    await asyncio.gather(
        *(run_in_threadpool(call, f"/{name}/{number}") for name, call in CLIENTS.items()),
        *(call(f"/{name}/{number}") for name, call in ASYNCHRONOUS.items()),
    )
    return PlainTextResponse(",".join([*CLIENTS, *ASYNCHRONOUS]))


app = Starlette(routes=[Route("/{number}", serve)], lifespan=lifespan)
