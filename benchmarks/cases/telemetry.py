"""
Telemetry as an exporter gets it: what instrumentation writes about requests to a shop.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final

from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import Span, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, use_span

from benchmarks.cases.sdk import RESOURCE

# What the batch processors hand to an exporter when they have enough.
BATCH: Final = 512
POINTS: Final = 256


def http_attributes(number: int) -> dict[str, str | int]:
    """Return what is written about a request: some of it the same for all, some different for each."""
    return {
        "http.request.method": "GET",
        "url.scheme": "http",
        "server.address": "shop.example.com",
        "server.port": 8080,
        "url.path": f"/orders/{number}",
        "url.query": f"page={number % 7}",
        "client.address": f"198.51.{number % 100}.{number % 250}",
        "client.port": 40_000 + number % 64,
        "network.protocol.version": "1.1",
        "user_agent.original": f"Mozilla/5.0 (X11; Linux x86_64; rv:{number % 9 + 120}.0) Gecko/20100101 Firefox/128.0",
        "http.route": "/orders/{id}",
        "http.response.status_code": 200,
        "user.id": f"user-{number % 1000}",
        "request_id": f"0197{number:028x}",
    }


def different_attributes(number: int) -> dict[str, str | int]:
    """Return what no encoder can have seen before."""
    return {f"app.attribute.{name}": f"value {name} of {number}" for name in range(14)}


def spans(
    attributes: Callable[[int], Mapping[str, str | int]] = http_attributes,
    more: Callable[[Span], None] | None = None,
    count: int = BATCH,
) -> Any:
    """Return server spans that have ended."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(resource=RESOURCE, shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("opentelemetry.instrumentation.asgi", "0.66b1")
    for number in range(count):
        with use_span(tracer.start_span("client"), end_on_exit=False):
            span: Any = tracer.start_span("GET /orders/{id}", kind=SpanKind.SERVER, attributes=attributes(number))
            if more is not None:
                more(span)
            span.end()
    return exporter.get_finished_spans()


def failing(span: Span) -> None:
    """Give *span* two events, one of them an exception."""
    span.add_event("otelctx.set", {"field": "user_id"})
    with suppress(ValueError), use_span(span, record_exception=True):
        raise ValueError("out of stock")


def log_records() -> Any:
    """Return log records that were emitted in spans."""
    exporter = InMemoryLogRecordExporter()
    provider = LoggerProvider(resource=RESOURCE, shutdown_on_exit=False)
    provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    logger = provider.get_logger("shop.orders")
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("shop")
    for number in range(BATCH):
        with tracer.start_as_current_span("GET /orders/{id}"):
            attributes = {
                "code.file.path": "/srv/shop/orders.py",
                "code.function.name": "place",
                "code.line.number": 120 + number % 20,
                "request_id": f"0197{number:028x}",
                "user.id": f"user-{number % 1000}",
                "otelctx.fields": ["step"],
            }
            record = LogRecord(
                timestamp=time.time_ns(),
                severity_text="INFO",
                severity_number=SeverityNumber.INFO,
                body=f"order {number} placed",
                attributes=attributes,
            )
            logger.emit(record)
    return exporter.get_finished_logs()


def metric_points(kind: str) -> Any:
    """Return the points of one instrument, a ``histogram`` or a ``counter``."""
    reader = InMemoryMetricReader()
    meter = MeterProvider([reader], RESOURCE, shutdown_on_exit=False).get_meter("opentelemetry.instrumentation.asgi")
    bounds = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10]
    histogram = meter.create_histogram("http.server.request.duration", "s", explicit_bucket_boundaries_advisory=bounds)
    counter = meter.create_counter("orders", "{order}")
    for number in range(POINTS):
        attributes = {**point_attributes(number), "http.response.status_code": 200 + number // 64}
        if kind == "histogram":
            histogram.record(number / 50, attributes)
        else:
            counter.add(number, attributes)
    return reader.get_metrics_data()


def point_attributes(number: int = 0) -> dict[str, str | int]:
    """Return the eight attributes of a point."""
    return {
        "http.request.method": "GET",
        "url.scheme": "http",
        "server.address": "shop.example.com",
        "server.port": 8080,
        "network.protocol.version": "1.1",
        "http.route": f"/{number % 64}/{{id}}",
        "http.response.status_code": 200,
        "tenant": "north",
    }
