"""
The ASGI edge: one request for each HTTP request and WebSocket, and its id on each response.

It stands outermost, so the order of all other middleware does not matter, and what is set anywhere below is seen up to
the access log. The middleware holds configuration only; the state of a request is in its scope.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Final

from otelctx.core.block import restore
from otelctx.core.here import enter_own, span_in, with_span
from otelctx.core.watching import request_ended
from otelctx.integrations.asgi.exchange import Exchanging, untraced
from otelctx.integrations.asgi.headers import Headers
from otelctx.integrations.asgi.response import Failsafe, echoing, refusing, within_span
from otelctx.integrations.asgi.types import App, Receive, Scope, Send
from otelctx.propagation.crossing import propagator
from otelctx.propagation.edge import MARK, entry_span_of, opened_at, without_span

_SERVED: Final = frozenset({"http", "websocket"})


def _can_trace() -> bool:
    try:
        return find_spec("opentelemetry.instrumentation.asgi") is not None
    except ModuleNotFoundError:  # not even the package that it would be in
        return False


class OtelctxMiddleware:
    """
    Serve *app* with a request around each of its HTTP requests and WebSockets.

    Args:
        app: any ASGI 3 application.
        traced: make the server span too, with ``opentelemetry-instrumentation-asgi`` if that is installed. Its
            middleware further in, a framework's, then joins this span.
        owns_task: each call has a task of its own, as under a server. The context then stays for what the server
            logs when the application is done or has failed.
    """

    def __init__(self, app: App, *, traced: bool = True, owns_task: bool = False) -> None:
        """Stand in front of *app*."""
        self.app = app
        self._owns_task = owns_task
        self._serve: App = Failsafe(app)
        self._exchange: Exchanging = untraced
        if traced and _can_trace():
            from otelctx.integrations.asgi.server_span import ServerSpan  # noqa: PLC0415 - an optional dependency

            self._serve = server_span = ServerSpan(self._serve)
            self._exchange = server_span.exchange

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection; the lifespan passes as it is, and what another edge has opened already."""
        kind = scope["type"]
        if kind not in _SERVED or MARK in scope:
            await self.app(scope, receive, send)
            return
        headers = Headers(scope)
        layer, opened = opened_at(scope, propagator().extract(scope, getter=headers))
        exchange = self._exchange(scope, headers, send, layer, opened) if kind == "http" else None
        inside = without_span(opened) if exchange is None else exchange.inside
        token = enter_own(inside)
        try:
            if exchange is None:
                await self._serve(scope, receive, refusing(within_span(echoing(send, layer), layer), scope))
            else:
                await self.app(scope, receive, exchange.send)
        except Exception as error:
            if exchange is not None:
                await exchange.fail(error)
            raise
        finally:
            try:
                if exchange is not None:
                    exchange.end()
            finally:  # a span processor is other people's code
                if not self._owns_task:
                    restore(token)
                elif (span := entry_span_of(layer)) is not span_in(inside):
                    # One that OpenTelemetry has made further in.
                    enter_own(with_span(inside, span))
                request_ended(layer.request)
