"""
Clients as applications use them, each behind the same function: one GET that follows redirects.

Each is asked in its own way for what the others do by themselves: retries, a proxy, headers set by hand.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

Headers = Mapping[str, str]


def _httpx(url: str, headers: Headers, proxy: str | None) -> None:
    import httpx

    with httpx.Client(follow_redirects=True, proxy=proxy) as client:
        while client.get(url, headers=headers).status_code == 503:
            continue


def _httpx_async(url: str, headers: Headers, proxy: str | None) -> None:
    import httpx

    async def get() -> None:
        async with httpx.AsyncClient(follow_redirects=True, proxy=proxy) as client:
            while (await client.get(url, headers=headers)).status_code == 503:
                continue

    asyncio.run(get())


def _requests(url: str, headers: Headers, proxy: str | None) -> None:
    import requests
    from requests.adapters import HTTPAdapter
    from urllib3.util import Retry

    with requests.Session() as session:
        session.mount("http://", HTTPAdapter(max_retries=Retry(3, status_forcelist=[503], backoff_factor=0)))
        session.get(url, headers=headers, proxies={"http": proxy} if proxy else None, timeout=20)


def _urllib3(url: str, headers: Headers, proxy: str | None) -> None:
    import urllib3
    from urllib3.util import Retry

    pools = urllib3.ProxyManager(proxy) if proxy else urllib3.PoolManager()
    with pools:
        pools.request("GET", url, headers=headers or None, retries=Retry(3, status_forcelist=[503], backoff_factor=0))


def _urllib(url: str, headers: Headers, proxy: str | None) -> None:
    from urllib.request import ProxyHandler, Request, build_opener

    opener = build_opener(ProxyHandler({"http": proxy} if proxy else {}))
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
            while True:
                async with session.get(url, headers=headers, proxy=proxy) as response:
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
    """

    get: Callable[[str, Headers, str | None], None]


CLIENTS = {
    "httpx": Client("httpx:HTTPXClientInstrumentor", _httpx),
    "httpx async": Client("httpx:HTTPXClientInstrumentor", _httpx_async),
    "requests": Client("requests:RequestsInstrumentor", _requests),
    "urllib3": Client("urllib3:URLLib3Instrumentor", _urllib3),
    "urllib": Client("urllib:URLLibInstrumentor", _urllib),
    "aiohttp": Client("aiohttp_client:AioHttpClientInstrumentor", _aiohttp),
}
