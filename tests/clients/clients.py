"""
Clients as applications use them, each behind the same function: one GET that follows redirects.

Each is asked in its own way for what the others do by themselves: retries, a proxy, headers set by hand.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

Headers = Mapping[str, str]


def _httpx(url: str, headers: Headers, proxy: str | None) -> None:
    import httpx

    with httpx.Client(follow_redirects=True, proxy=proxy) as client:
        _until_it_answers(client, url, headers)


def _httpx_http2(url: str, headers: Headers, proxy: str | None) -> None:
    import httpx

    with httpx.Client(follow_redirects=True, proxy=proxy, http1=False, http2=True) as client:
        _until_it_answers(client, url, headers)


def _httpx_hooks(url: str, headers: Headers, proxy: str | None) -> None:
    """Headers are set by a hook, as for signatures and tokens."""
    import httpx

    hooks = {"request": [lambda request: request.headers.update(headers)], "response": [lambda answer: answer.read()]}
    with httpx.Client(follow_redirects=True, proxy=proxy, event_hooks=hooks) as client:
        _until_it_answers(client, url, {})


def _httpx_transport(url: str, headers: Headers, proxy: str | None) -> None:
    """The transport is the application's own, and tries again by itself."""
    import httpx

    class Persistent(httpx.BaseTransport):
        def __init__(self) -> None:
            self._inner = httpx.HTTPTransport(proxy=proxy)

        def handle_request(self, request: httpx.Request) -> httpx.Response:
            while (response := self._inner.handle_request(request)).status_code == 503:
                response.read()
            return response

        def close(self) -> None:
            self._inner.close()

    with httpx.Client(follow_redirects=True, transport=Persistent()) as client:
        client.get(url, headers=headers)


def _until_it_answers(client: Any, url: str, headers: Headers) -> None:
    while client.get(url, headers=headers).status_code == 503:
        continue


def _httpx_async(url: str, headers: Headers, proxy: str | None) -> None:
    import httpx

    asyncio.run(_get_async(httpx.AsyncClient(follow_redirects=True, proxy=proxy), url, headers))


def _httpx_async_http2(url: str, headers: Headers, proxy: str | None) -> None:
    import httpx

    client = httpx.AsyncClient(follow_redirects=True, proxy=proxy, http1=False, http2=True)
    asyncio.run(_get_async(client, url, headers))


def _httpx_async_hooks(url: str, headers: Headers, proxy: str | None) -> None:
    import httpx

    async def set_headers(request: httpx.Request) -> None:
        request.headers.update(headers)

    hooks = {"request": [set_headers]}
    asyncio.run(_get_async(httpx.AsyncClient(follow_redirects=True, proxy=proxy, event_hooks=hooks), url, {}))


def _httpx_async_transport(url: str, headers: Headers, proxy: str | None) -> None:
    import httpx

    class Persistent(httpx.AsyncBaseTransport):
        def __init__(self) -> None:
            self._inner = httpx.AsyncHTTPTransport(proxy=proxy)

        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            while (response := await self._inner.handle_async_request(request)).status_code == 503:
                await response.aread()
            return response

        async def aclose(self) -> None:
            await self._inner.aclose()

    asyncio.run(_get_async(httpx.AsyncClient(follow_redirects=True, transport=Persistent()), url, headers))


async def _get_async(client: Any, url: str, headers: Headers) -> None:
    async with client:
        while (await client.get(url, headers=headers)).status_code == 503:
            continue


def _requests(url: str, headers: Headers, proxy: str | None) -> None:
    import requests
    from requests.adapters import HTTPAdapter
    from urllib3.util import Retry

    with requests.Session() as session:
        session.mount("http://", HTTPAdapter(max_retries=Retry(3, status_forcelist=[503], backoff_factor=0)))
        session.get(url, headers=headers, proxies={"http": proxy, "https": proxy} if proxy else None, timeout=20)


def _urllib3(url: str, headers: Headers, proxy: str | None) -> None:
    import urllib3
    from urllib3.util import Retry

    pools = urllib3.ProxyManager(proxy) if proxy else urllib3.PoolManager()
    with pools:
        pools.request("GET", url, headers=headers or None, retries=Retry(3, status_forcelist=[503], backoff_factor=0))


def _urllib(url: str, headers: Headers, proxy: str | None) -> None:
    from urllib.request import ProxyHandler, Request, build_opener

    opener = build_opener(ProxyHandler({"http": proxy, "https": proxy} if proxy else {}))
    request = Request(url, headers=dict(headers))
    while _status(opener, request) == 503:
        continue


def _status(opener: Any, request: Any) -> int:
    from urllib.error import HTTPError

    try:
        with opener.open(request, timeout=20) as response:
            return int(response.status)
    except HTTPError as error:
        with error:
            return error.code


def _aiohttp(url: str, headers: Headers, proxy: str | None) -> None:
    import aiohttp

    async def get() -> None:
        async with aiohttp.ClientSession() as session:
            trust = ssl.create_default_context() if url.startswith("https:") else True
            while True:
                async with session.get(url, headers=headers, proxy=proxy, ssl=trust) as response:
                    if response.status != 503:
                        return

    asyncio.run(get())


@dataclass(frozen=True)
class Instrumented:
    """
    Something that OpenTelemetry instruments.

    Attributes:
        instrumentor: OpenTelemetry's instrumentation of it, ``module:class``.
    """

    instrumentor: str

    def instrument(self, **options: Any) -> Any:
        """Instrument it as OpenTelemetry does, and return the instrumentor."""
        module, _, name = self.instrumentor.partition(":")
        instrumentor = getattr(import_module(f"opentelemetry.instrumentation.{module}"), name)()
        instrumentor.instrument(skip_dep_check=True, **options)
        return instrumentor


@dataclass(frozen=True)
class Client(Instrumented):
    """
    One client.

    Attributes:
        get: sends one GET for a URL, with headers, through a proxy if one is given.
        is_http2: it speaks HTTP/2 and nothing else.
    """

    get: Callable[[str, Headers, str | None], None]
    is_http2: bool = False


HTTPX = "httpx:HTTPXClientInstrumentor"

CLIENTS = {
    "httpx": Client(HTTPX, _httpx),
    "httpx, HTTP/2": Client(HTTPX, _httpx_http2, is_http2=True),
    "httpx, event hooks": Client(HTTPX, _httpx_hooks),
    "httpx, transport": Client(HTTPX, _httpx_transport),
    "httpx async": Client(HTTPX, _httpx_async),
    "httpx async, HTTP/2": Client(HTTPX, _httpx_async_http2, is_http2=True),
    "httpx async, event hooks": Client(HTTPX, _httpx_async_hooks),
    "httpx async, transport": Client(HTTPX, _httpx_async_transport),
    "requests": Client("requests:RequestsInstrumentor", _requests),
    "urllib3": Client("urllib3:URLLib3Instrumentor", _urllib3),
    "urllib": Client("urllib:URLLibInstrumentor", _urllib),
    "aiohttp": Client("aiohttp_client:AioHttpClientInstrumentor", _aiohttp),
}
