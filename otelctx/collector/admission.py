"""
The bound on requests under way, counted by request and not by socket.

A request beyond it is refused at once with a time to try again; a connection that asks nothing takes no part of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import JSONResponse

from otelctx.collector.refusal import BUSY

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from otelctx.collector.counters import Counters

MAX_REQUESTS = 256


class Admission:
    """ASGI middleware that lets *limit* requests in at a time; used on the event loop only, so it needs no lock."""

    def __init__(self, app: ASGIApp, counters: Counters, limit: int = MAX_REQUESTS) -> None:
        """Let requests in to *app*, and count in *counters* those that are refused."""
        self._app = app
        self._counters = counters
        self._limit = limit
        self._under_way = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 503, or let the application answer."""
        if self._under_way >= self._limit:
            self._counters.add("refused", BUSY.name)
            self._counters.warn("too_many_requests", f"Refused a request: {self._limit} others are under way")
            error = {"error": f"{self._limit} requests are under way; try again in a second"}
            # Its body is not read, so the connection is of no more use.
            headers = {"Retry-After": str(BUSY.retry_after), "Connection": "close"}
            await JSONResponse(error, BUSY.http, headers)(scope, receive, send)
            return
        self._under_way += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._under_way -= 1
