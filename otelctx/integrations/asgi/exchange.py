"""
The traced exchange: one HTTP request and its response, under one server span.

What it leaves behind, spans, metrics and messages, is what OpenTelemetry's ASGI middleware leaves behind that makes no
spans for each ``send`` and ``receive``. But it attaches one Context, wraps ``send`` once, and computes nothing twice.
"""

from __future__ import annotations

from timeit import default_timer
from typing import Final

from opentelemetry.context import Context
from opentelemetry.trace import SpanKind, Tracer

from otelctx.core.here import here, with_span
from otelctx.core.state import current_request
from otelctx.integrations.asgi.measures import Measures, content_length
from otelctx.integrations.asgi.response import answer_500, record, send_in, with_echo
from otelctx.integrations.asgi.types import App, Message, Receive, Scope, Send
from otelctx.propagation.edge import MARK, SPAN_MARK

ROUTE_MARK: Final = "otelctx.route"


class Exchange:
    """
    One request and its response.

    Attributes:
        inside: the Context to serve it in.
        span: its server span.
    """

    __slots__ = (
        "_active",
        "_attributes",
        "_began",
        "_ended",
        "_measures",
        "_response_size",
        "_scope",
        "_semantics",
        "_send",
        "_started",
        "inside",
        "span",
    )

    def __init__(self, tracer: Tracer, measures: Measures, scope: Scope, send: Send) -> None:
        """Start the server span of the request of *scope*, which is opened."""
        # What was extracted: the request, and the remote span as the parent.
        context: Context = scope[MARK]
        self._began = default_timer()
        self._semantics = semantics = measures.semantics
        self._measures = measures
        self._scope = scope
        self._send = send
        name, self._attributes = semantics.descriptions.of(scope)
        self.span = span = tracer.start_span(name, context, SpanKind.SERVER, self._attributes)
        scope[SPAN_MARK] = span
        scope[ROUTE_MARK] = {}
        request = current_request(context)
        if request is not None:
            # The span processor has done so already if the span records; one that does not has a trace id all the same.
            request.entry_span = span
        self.inside = with_span(context, span)
        self._active = measures.begin(self._attributes)
        self._started = False
        self._response_size: int | None = None

    async def serve(self, app: App, receive: Receive) -> None:
        """Let *app* serve it; an exception of its goes on, with an answer for the client if there was none."""
        try:
            await app(self._scope, receive, self.send)
        except Exception as error:
            record(self.span, error)
            if not self._started:
                await answer_500(self.send, self._scope)
            raise
        finally:
            self._end()

    async def send(self, message: Message) -> None:
        """Send *message*, and note what it tells of the response."""
        kind = message["type"]
        if kind == "http.response.start":
            self._started = True
            answer = self._semantics.answer(message["status"])
            self._attributes.update(answer.metric_attributes)
            if self.span.is_recording():
                self.span.set_attributes(answer.attributes)
                if answer.status is not None:
                    self.span.set_status(answer.status)
            self._response_size = content_length(message.get("headers"))
            message = with_echo(message, self.inside)
        if here() is self.inside:
            await self._send(message)
        else:
            await send_in(self.inside, self._send, message)
        if kind == "http.response.body" and not message.get("more_body"):
            self.span.end()

    def _end(self) -> None:
        if self._active is not None:
            seconds = default_timer() - self._began
            size, route = self._response_size, self._scope[ROUTE_MARK]
            self._measures.end(self._active, self._attributes, self._scope, self.inside, seconds, size, route)
        if self.span.is_recording():
            self.span.end()
