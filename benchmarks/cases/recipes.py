"""
What people put together by hand today, and what otelctx puts in its place: the same spans, baggage and log lines.

The recipe is OpenTelemetry's ASGI middleware without spans for ``send`` and ``receive``, a middleware that puts two
fields into baggage, `BaggageSpanProcessor`, `LoggingInstrumentor`, and a hook that puts the two on log records. The
middleware writes the two on the server span itself, which has started when they are known, and echoes the id.
"""

from __future__ import annotations

import logging
from typing import Any, Final

from opentelemetry.baggage import get_baggage, set_baggage
from opentelemetry.context import attach, detach
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import Span, get_current_span

from benchmarks.cases.asgi import App, Message, Receive, Send

USER: Final = "alice"


class FieldsMiddleware:
    """Puts the id of the request and of the user into baggage, for the length of the request."""

    def __init__(self, app: App) -> None:
        """Stand in front of *app*."""
        self._app = app

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Serve one request."""
        request_id = next(value for name, value in scope["headers"] if name == b"x-request-id")

        async def echo(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"x-request-id", request_id)]
            await send(message)

        fields = {"request_id": request_id.decode("latin-1"), "user_id": USER}
        get_current_span().set_attributes({"request_id": fields["request_id"], "user.id": fields["user_id"]})
        context = set_baggage("request_id", fields["request_id"])
        token = attach(set_baggage("user_id", fields["user_id"], context))
        try:
            await self._app(scope, receive, echo)
        finally:
            detach(token)


def log_hook(span: Span, record: logging.LogRecord) -> None:  # noqa: ARG001 - the interface
    """Put the two fields on a record."""
    record.request_id = get_baggage("request_id")
    record.user_id = get_baggage("user_id")


def hand_recipe(app: App, provider: TracerProvider, *, otlp_logs: bool = False) -> App:
    """Return *app* with all of it around; the providers are there."""
    from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
    from opentelemetry.instrumentation.logging import LoggingInstrumentor
    from opentelemetry.processor.baggage import ALLOW_ALL_BAGGAGE_KEYS, BaggageSpanProcessor

    provider.add_span_processor(BaggageSpanProcessor(ALLOW_ALL_BAGGAGE_KEYS))
    LoggingInstrumentor().instrument(
        inject_trace_context=True, log_hook=log_hook, enable_log_auto_instrumentation=otlp_logs
    )
    return OpenTelemetryMiddleware(FieldsMiddleware(app), exclude_spans=["receive", "send"])


def ours(app: App, *, otlp_logs: bool = False) -> App:
    """Return *app* as otelctx serves it under a server; the providers are there."""
    from otelctx.integrations.asgi import OtelctxMiddleware
    from otelctx.setup.install import install

    install()
    if otlp_logs:
        from opentelemetry.instrumentation.logging import LoggingInstrumentor

        LoggingInstrumentor().instrument()
    return OtelctxMiddleware(app, owns_task=True)
