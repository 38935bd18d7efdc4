"""
The traced exchange: one HTTP request and its response, under one server span.

What it leaves behind, spans, metrics and messages, is what OpenTelemetry's ASGI middleware leaves behind that makes no
spans for each ``send`` and ``receive``.
"""

from __future__ import annotations

from collections.abc import Awaitable
from timeit import default_timer
from typing import Any, Final

from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, Tracer

from otelctx.core.here import here, with_span
from otelctx.core.layers import Layer
from otelctx.integrations.asgi.exchange import Exchange
from otelctx.integrations.asgi.headers import Headers
from otelctx.integrations.asgi.measures import Measures, content_length
from otelctx.integrations.asgi.response import answer_500, mark_awaited, record, send_in, with_echo
from otelctx.integrations.asgi.types import Message, Scope, Send
from otelctx.native import compiled
from otelctx.propagation.edge import SPAN_MARK

ROUTE_MARK: Final = "otelctx.route"


async def send_last(span: Span, sending: Awaitable[None]) -> None:
    """Await *sending*, which sends the last of a response, and end *span*."""
    await sending
    span.end()


@compiled
class TracedExchange(Exchange):
    """
    One request and its response.

    Attributes:
        span: its server span.
    """

    __slots__ = ("_active", "_attributes", "_began", "_measures", "_response_size", "_semantics", "span")

    def __init__(  # noqa: PLR0917 - what there is of a request
        self,
        tracer: Tracer,
        measures: Measures,
        scope: Scope,
        headers: Headers,
        send: Send,
        layer: Layer,
        opened: Context,
    ) -> None:
        """Start the server span of the request of *scope*, which is in *opened*, with the remote span as the parent."""
        self._began = default_timer()
        self._semantics = measures.semantics
        self._measures = measures
        name, attributes = measures.semantics.descriptions.of(scope, headers)
        self.span: Span = tracer.start_span(name, opened, SpanKind.SERVER, attributes)
        super().__init__(scope, send, layer, with_span(opened, self.span))
        scope[SPAN_MARK] = self.span
        scope[ROUTE_MARK] = {}
        if layer.request is not None:
            # The span processor has done so already if the span records; one that does not has a trace id all the same.
            layer.request.entry_span = self.span
        self._active = measures.begin(attributes)
        # Attributes of metrics, while anybody keeps those.
        self._attributes: dict[str, Any] | None = None if self._active is None else attributes
        self._response_size: int | None = None

    async def fail(self, error: Exception) -> None:
        """Let the span say that the application raised *error*, and give the client an answer if it had none."""
        record(self.span, error)
        if not self._started:
            await answer_500(self.send, self._scope)

    def send(self, message: Message) -> Awaitable[None]:
        """Send *message*, and note what it tells of the response."""
        kind = message["type"]
        if kind == "http.response.start":
            self._started = True
            self._note(message)
            message = with_echo(message, self._layer)
        sending = self._send(message) if here() is self.inside else send_in(self._layer, self._send, message)
        if kind == "http.response.body" and not message.get("more_body"):
            return send_last(self.span, sending)
        return sending

    def _note(self, message: Message) -> None:
        answer = self._semantics.answer(message["status"])
        if self.span.is_recording():
            self.span.set_attributes(answer.attributes)
            if answer.status is not None:
                self.span.set_status(answer.status)
        if self._attributes is not None:
            self._attributes.update(answer.metric_attributes)
            self._response_size = content_length(message.get("headers"))

    def end(self) -> None:
        """Record what the request took, and end its span if nothing has."""
        if self._active is not None and self._attributes is not None:
            seconds = default_timer() - self._began
            size, route = self._response_size, self._scope[ROUTE_MARK]
            self._measures.end(self._active, self._attributes, self._scope, self.inside, seconds, size, route)
        if self.span.is_recording():
            self.span.end()


mark_awaited(TracedExchange.send)
