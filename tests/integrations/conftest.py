"""A propagator and a tracer provider for the length of a test; what it ends is kept in memory."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from opentelemetry import trace
from opentelemetry.propagate import get_global_textmap, set_global_textmap
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from otelctx.propagation.propagator import OtelctxPropagator
from otelctx.signals.spans import FieldSpanProcessor


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(FieldSpanProcessor())
    exporter = InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    # The API lets it be set once per process; a test needs its own.
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
    propagator = get_global_textmap()
    set_global_textmap(OtelctxPropagator())
    yield exporter
    set_global_textmap(propagator)
    provider.shutdown()
