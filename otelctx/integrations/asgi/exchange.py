"""
Exchanges: one HTTP request and its response.

Whatever the application does, the client gets an answer with the id of the request, and the server finds the span of
the request around each message, for what it logs then. There is one wrapper of ``send``, and nothing is computed twice.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from opentelemetry.context import Context

from otelctx.core.here import here, span_in
from otelctx.core.layers import Layer
from otelctx.integrations.asgi.headers import Headers
from otelctx.integrations.asgi.response import answer_500, mark_awaited, record, send_in, with_echo
from otelctx.integrations.asgi.types import Message, Scope, Send
from otelctx.native import compiled
from otelctx.propagation.edge import without_span


@compiled
class Exchange:
    """
    One request and its response; without a server span, unless somebody makes one further in.

    Attributes:
        inside: the Context to serve it in.
    """

    __slots__ = ("_layer", "_scope", "_send", "_started", "inside")

    def __init__(self, scope: Scope, send: Send, layer: Layer, inside: Context) -> None:
        """Begin with the request of *scope*, whose layer is in *inside*."""
        self._scope = scope
        self._send = send
        self._layer = layer
        self._started = False
        self.inside = inside

    def send(self, message: Message) -> Awaitable[None]:
        """Send *message*; what begins the response has the headers that fields echo."""
        if message["type"] == "http.response.start":
            self._started = True
            message = with_echo(message, self._layer)
        return send_in(self._layer, self._send, message)

    async def fail(self, error: Exception) -> None:
        """Give the client an answer, if it had none when the application raised *error*."""
        if not self._started:
            record(span_in(here()), error)
            await answer_500(self.send, self._scope)

    def end(self) -> None:
        """Be done; the application is."""


mark_awaited(Exchange.send)

# Takes the scope, its headers, where to send, the layer of the request and the Context that was extracted. Returns what
# serves the request, or None if OpenTelemetry's own middleware is to.
Exchanging: TypeAlias = Callable[[Scope, Headers, Send, Layer, Context], "Exchange | None"]


def untraced(scope: Scope, _: Headers, send: Send, layer: Layer, opened: Context) -> Exchange:
    """Return the exchange of a request for which no server span is made."""
    return Exchange(scope, send, layer, without_span(opened))
