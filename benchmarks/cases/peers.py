"""
Other tracers that do for a request what otelctx does: a span, and a context that log lines and calls can be given.

None sends anything: logfire's sending is off, ddtrace's traces are filtered out before they are written, Sentry's
transport drops them, Elastic's is told not to send.
"""

from __future__ import annotations

from typing import Any

from benchmarks.cases.asgi import answering, serving
from benchmarks.cases.log_lines import log_line
from benchmarks.harness.case import Case, Work


def traced_by_peers(case: Case) -> None:
    """Let each of them trace the application of *case*, which writes one plain log line."""
    case.contender("logfire")(_logfire)
    case.contender("ddtrace")(_ddtrace)
    case.contender("sentry-sdk")(_sentry)
    case.contender("elastic-apm")(_elastic)


def _logfire() -> Work:
    import logfire
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    from benchmarks.cases.sdk import NoSpans

    logfire.configure(
        service_name="shop",
        send_to_logfire=False,
        console=False,
        inspect_arguments=False,
        distributed_tracing=True,
        metrics=False,
        additional_span_processors=[BatchSpanProcessor(NoSpans())],
    )
    app: Any = logfire.instrument_asgi(answering(log_line()))
    return serving(app)


def _ddtrace() -> Work:
    import os

    # It reads them when it is imported. There is no agent, and nobody to be told about it.
    os.environ |= {
        "DD_TRACE_AGENT_URL": "http://127.0.0.1:9",
        "DD_INSTRUMENTATION_TELEMETRY_ENABLED": "false",
        "DD_REMOTE_CONFIGURATION_ENABLED": "false",
        "DD_TRACE_STARTUP_LOGS": "false",
        "DD_SERVICE": "shop",
    }
    from ddtrace.contrib.asgi import TraceMiddleware
    from ddtrace.trace import TraceFilter, tracer

    class Drop(TraceFilter):
        def process_trace(self, trace: Any) -> None:
            """Let nothing be written."""

    tracer.configure(trace_processors=[Drop()])
    return serving(TraceMiddleware(answering(log_line())))


def _sentry() -> Work:
    import sentry_sdk
    from sentry_sdk.integrations.asgi import SentryAsgiMiddleware
    from sentry_sdk.transport import Transport

    class Drop(Transport):
        def capture_envelope(self, envelope: Any) -> None:
            """Send nothing."""

    sentry_sdk.init(
        "http://key@127.0.0.1:9/1", transport=Drop, traces_sample_rate=1.0, auto_enabling_integrations=False
    )
    app: Any = SentryAsgiMiddleware(answering(log_line()))
    return serving(app)


def _elastic() -> Work:
    from elasticapm import Client
    from elasticapm.contrib.asgi import ASGITracingMiddleware

    Client(
        {
            "SERVICE_NAME": "shop",
            "SERVER_URL": "http://127.0.0.1:9",
            "DISABLE_SEND": True,
            "CENTRAL_CONFIG": False,
            "CLOUD_PROVIDER": False,
            "METRICS_INTERVAL": "0s",
        }
    )
    app: Any = ASGITracingMiddleware(answering(log_line()))
    return serving(app)
