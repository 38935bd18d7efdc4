"""
The ASGI edge: one request for each HTTP request and WebSocket, and its id on each response.

It stands outermost, so the order of all other middleware does not matter, and what is set anywhere below is seen up to
the access log. The middleware holds configuration only; the state of a request is in its scope.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

from opentelemetry.propagators.textmap import Getter
from opentelemetry.trace import INVALID_SPAN

from otelctx.core.block import restore
from otelctx.core.here import enter, with_span
from otelctx.core.state import current_request
from otelctx.core.watching import request_ended
from otelctx.integrations.asgi.response import Failsafe, echoing, refusing, within_span
from otelctx.integrations.asgi.types import App, Receive, Scope, Send
from otelctx.propagation.crossing import propagator
from otelctx.propagation.edge import MARK, entry_span_of, open_for
from otelctx.propagation.peers import scope_peer

if TYPE_CHECKING:
    from otelctx.integrations.asgi.exchange import Exchange

_SERVED: Final = frozenset({"http", "websocket"})


@lru_cache
def _name(key: str) -> bytes:
    return key.lower().encode("latin-1")


class Headers(Getter[Scope]):
    """The headers of one scope, sorted once, since each propagator asks for several."""

    otelctx_peer = staticmethod(scope_peer)

    def __init__(self, scope: Scope) -> None:
        """Sort the headers of *scope*, which are bytes there."""
        self._values: dict[bytes, list[bytes]] = {}
        for name, value in scope.get("headers") or ():
            self._values.setdefault(name.lower(), []).append(value)

    def get(self, carrier: Scope, key: str) -> list[str] | None:  # noqa: ARG002 - the interface
        """Return all values of header *key*."""
        found = self._values.get(_name(key))
        return None if found is None else [value.decode("latin-1") for value in found]

    def keys(self, carrier: Scope) -> list[str]:  # noqa: ARG002 - the interface
        """Return the names of all headers."""
        return [name.decode("latin-1") for name in self._values]


def _can_trace() -> bool:
    try:
        return find_spec("opentelemetry.instrumentation.asgi") is not None
    except ModuleNotFoundError:  # not even the package that it would be in
        return False


def _no_exchange(scope: Scope, send: Send) -> None:
    """Have no server span."""


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
        self._exchange: Callable[[Scope, Send], Exchange | None] = _no_exchange
        if traced and _can_trace():
            from otelctx.integrations.asgi.server_span import ServerSpan  # noqa: PLC0415 - an optional dependency

            self._serve = server_span = ServerSpan(self._serve)
            self._exchange = server_span.exchange

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection; the lifespan passes as it is, and what another edge has opened already."""
        if scope["type"] not in _SERVED or MARK in scope:
            await self.app(scope, receive, send)
            return
        context = open_for(scope, propagator().extract(scope, getter=Headers(scope)))
        exchange = self._exchange(scope, send)
        token = enter(context if exchange is None else exchange.inside)
        try:
            if exchange is None:
                await self._serve(scope, receive, refusing(within_span(echoing(send, context), context), scope))
            else:
                await exchange.serve(self.app, receive)
        finally:
            if not self._owns_task:
                restore(token)
            elif exchange is None and (span := entry_span_of(context)) is not INVALID_SPAN:
                enter(with_span(context, span))
            request_ended(current_request(context))
