"""
The guard against browsers: pages of other origins cannot use a collector that listens on this machine.

Two rules: the Host header must be an address or our own name (a rebound DNS name is neither), and a request that
changes something must not come from another origin. Sources: RFC 9110, 7.2; Fetch standard, "Origin header".
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.responses import JSONResponse

from otelctx.collector.config import is_loopback

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

READING_METHODS = frozenset({"GET", "HEAD"})


class Guard:
    """ASGI middleware that holds the configuration only."""

    def __init__(self, app: ASGIApp, host: str) -> None:
        """Guard *app*, which listens on *host*; the Host rule applies while that is a loopback address."""
        self._app = app
        self._host = host.lower()
        self._check_host = is_loopback(host)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 403, or let the application answer."""
        if scope["type"] == "http" and (reason := self._refusal(scope)) is not None:
            await JSONResponse({"error": reason}, 403)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _refusal(self, scope: Scope) -> str | None:
        hosts = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
        if self._check_host and not (len(hosts) == 1 and self._is_ours(hosts[0])):
            return "The Host header names another host; use http://localhost or the collector's address"
        origins = [value.decode("latin-1") for name, value in scope["headers"] if name == b"origin"]
        same = [f"http://{host}".lower() for host in hosts]
        if scope["method"] not in READING_METHODS and any(origin.lower() not in same for origin in origins):
            return "The request comes from a page of another origin; send telemetry from a process instead"
        return None

    def _is_ours(self, header: str) -> bool:
        """Tell whether the Host *header* is an address, a loopback name or the name that was bound."""
        try:
            parts = urlsplit(f"//{header}")
            name = parts.hostname or ""
            _ = parts.port  # raises for what is no port
        except ValueError:
            return False
        if parts.netloc != header or "@" in header:
            return False
        if name == self._host or is_loopback(name):
            return True
        try:
            ip_address(name)
        except ValueError:
            return False
        return True
