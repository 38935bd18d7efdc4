"""
Telemetry for the collectors under test, made by the real SDK and sent by its real exporters, when it is asked to.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode, Tracer, format_trace_id, set_span_in_context

SECOND = 1_000_000_000


@contextmanager
def sending_to(url: str, service: str = "shop") -> Iterator[Tracer]:
    """Give a tracer whose spans are at the collector when the block is over."""
    provider = TracerProvider(resource=Resource({"service.name": service}), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(f"{url}/v1/traces", timeout=30)))
    try:
        yield provider.get_tracer("tests")
        assert provider.force_flush(30_000)
    finally:
        provider.shutdown()


def trace(
    tracer: Tracer,
    name: str,
    *,
    seconds: float = 0.01,
    error: bool = False,
    attributes: Mapping[str, Any] | None = None,
    inner: bool = True,
) -> str:
    """Make a request's trace that took *seconds*, of a server span and mostly one inside; return its id."""
    end = time.time_ns()
    start = end - int(seconds * SECOND)
    server = tracer.start_span(name, kind=SpanKind.SERVER, attributes=attributes, start_time=start)
    if inner:
        child = tracer.start_span("inside", context=set_span_in_context(server), start_time=start)
        child.end(end)
    if error:
        server.set_status(Status(StatusCode.ERROR))
    server.end(end)
    return format_trace_id(server.get_span_context().trace_id)
