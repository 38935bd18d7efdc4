"""
The highest rate of spans of which none is lost: found by trying, each rate for long enough that no queue hides a loss.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.trace import SpanKind, Tracer

from benchmarks.cases.sdk import RESOURCE
from benchmarks.cases.sink import Sink
from benchmarks.cases.telemetry import http_attributes
from benchmarks.harness.case import Work

FIRST: Final = 1000
# A rate is good to a sixteenth of itself.
STEPS: Final = 3
TICK: Final = 0.01
# Of the spans that a rate asks for, in the time.
KEPT_UP: Final = 0.98


def of_sdk(url: str) -> SpanProcessor:
    """Return the SDK's processor and exporter, with their defaults."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    return BatchSpanProcessor(OTLPSpanExporter(url))


def of_ours(url: str) -> SpanProcessor:
    """Return our processor and exporter, with their defaults and a spool on disk; spans are made as otelctx does."""
    from otelctx.export.endpoint import Endpoint
    from otelctx.export.exporters import SpoolingSpanExporter
    from otelctx.export.processors import SpoolingSpanProcessor
    from otelctx.export.settings import SpoolSettings
    from otelctx.signals import tracing

    tracing.install()
    folder = Path(tempfile.mkdtemp(prefix="otelctx-benchmark-"))
    return SpoolingSpanProcessor(SpoolingSpanExporter(SpoolSettings(folder, "shop"), Endpoint(url)))


def highest_rate(processor: Callable[[str], SpanProcessor]) -> Work:
    """Return the work that finds the highest rate, trying each for as many ticks as it is called for."""
    sink = Sink()
    provider = TracerProvider(resource=RESOURCE, shutdown_on_exit=False)
    provider.add_span_processor(processor(sink.url))
    tracer = provider.get_tracer("shop")

    def goes_through(rate: int, ticks: int) -> bool:
        # Something else on the machine may have made it lose once.
        return goes_through_once(rate, ticks) or goes_through_once(rate, ticks)

    def goes_through_once(rate: int, ticks: int) -> bool:
        before, seconds = sink.spans(), ticks * TICK
        made = at_rate(tracer, rate, seconds)
        provider.force_flush(60_000)
        return made >= KEPT_UP * rate * seconds and sink.spans() - before == made

    def work(calls: int) -> dict[str, float]:
        low, high = 0, FIRST
        while goes_through(high, calls):
            low, high = high, high * 2
        for _ in range(STEPS):
            middle = (low + high) // 2
            low, high = (middle, high) if goes_through(middle, calls) else (low, middle)
        return {"spans/s": low}

    return work


def at_rate(tracer: Tracer, rate: int, seconds: float) -> int:
    """Make spans at *rate* for *seconds*, as many as one process can, and return how many."""
    began, made = time.perf_counter(), 0
    while (spent := time.perf_counter() - began) < seconds:
        for number in range(made, int(spent * rate)):
            tracer.start_span("GET /orders/{id}", kind=SpanKind.SERVER, attributes=http_attributes(number)).end()
            made += 1
            if time.perf_counter() - began > seconds:
                return made
        time.sleep(TICK)
    return made
