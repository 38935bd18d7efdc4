"""Which processors are told of a span, and in which order."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry.sdk.trace import ConcurrentMultiSpanProcessor, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from otelctx.signals import tracing
from otelctx.signals.processors import processors_of
from otelctx.signals.spans import FieldSpanProcessor

pytestmark = pytest.mark.usefixtures("_faster")


@pytest.fixture
def _faster() -> Any:
    tracing.install()
    yield
    tracing.uninstall()


class Telling(SpanProcessor):
    def __init__(self, name: str, told: list[str]) -> None:
        self.name, self.told = name, told

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        self.told.append(f"{self.name} start")

    def _on_ending(self, span: Any) -> None:
        self.told.append(f"{self.name} ending")

    def on_end(self, span: Any) -> None:
        self.told.append(f"{self.name} end")


def provider_with(*processors: SpanProcessor) -> TracerProvider:
    provider = TracerProvider(shutdown_on_exit=False)
    for processor in processors:
        provider.add_span_processor(processor)
    return provider


def test_all_are_told_in_the_order_in_which_they_were_added() -> None:
    told: list[str] = []
    provider_with(Telling("a", told), Telling("b", told)).get_tracer("t").start_span("s").end()
    assert told == ["a start", "b start", "a ending", "b ending", "a end", "b end"]


def test_one_that_is_added_while_a_span_runs_is_told_of_its_end() -> None:
    told: list[str] = []
    provider = provider_with(Telling("a", told))
    span = provider.get_tracer("t").start_span("s")
    provider.add_span_processor(Telling("late", told))
    span.end()
    assert told == ["a start", "a ending", "late ending", "a end", "late end"]


def test_a_method_of_an_instance_counts() -> None:
    started: list[Any] = []
    processor = SimpleSpanProcessor(InMemorySpanExporter())
    processor.on_start = lambda span, parent_context=None: started.append(span)  # type: ignore[method-assign]
    span = provider_with(processor).get_tracer("t").start_span("s")
    assert started == [span]


def test_processors_that_work_at_once_are_told_as_one() -> None:
    told: list[str] = []
    provider = TracerProvider(active_span_processor=ConcurrentMultiSpanProcessor(2), shutdown_on_exit=False)
    provider.add_span_processor(Telling("a", told))
    provider.get_tracer("t").start_span("s").end()
    assert told == ["a start", "a ending", "a end"]


def test_who_does_nothing_at_a_step_is_not_called_then() -> None:
    fields, batch, simple = (
        FieldSpanProcessor(),
        BatchSpanProcessor(InMemorySpanExporter()),
        SimpleSpanProcessor(InMemorySpanExporter()),
    )
    try:
        provider = provider_with(fields, batch, simple)
        found = processors_of(provider._active_span_processor)
        assert (found.on_start, found.on_ending, found.on_end) == ((fields,), (), (batch, simple))
    finally:
        batch.shutdown()
