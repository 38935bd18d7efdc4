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


@dataclass(frozen=True)
class Client:
    """
    One client.

    Attributes:
        get: sends one GET for a URL, with headers, through a proxy if one is given.
        instrumentor: OpenTelemetry's instrumentation of it, ``module:class``.
    """

    get: Callable[[str, Headers, str | None], None]
    instrumentor: str

    def instrument(self, **options: Any) -> Any:
        """Instrument it as OpenTelemetry does, and return the instrumentor."""
        module, _, name = self.instrumentor.partition(":")
        instrumentor = getattr(import_module(f"opentelemetry.instrumentation.{module}"), name)()
        instrumentor.instrument(skip_dep_check=True, **options)
        return instrumentor


CLIENTS = {
    "httpx": Client(_httpx, "httpx:HTTPXClientInstrumentor"),
    "httpx async": Client(_httpx_async, "httpx:HTTPXClientInstrumentor"),
    "requests": Client(_requests, "requests:RequestsInstrumentor"),
    "urllib3": Client(_urllib3, "urllib3:URLLib3Instrumentor"),
}
