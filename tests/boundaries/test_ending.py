"""The end of a process: what is held is sent, within a bounded time whatever the exporters do."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from otelctx.boundaries import ending


class Exporter(SpanExporter):
    """Keeps what it is given, once it is let go."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.may_go = threading.Event()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.may_go.wait(30)
        self.names += [span.name for span in spans]
        return SpanExportResult.SUCCESS


@pytest.fixture
def exporter(monkeypatch: pytest.MonkeyPatch) -> Iterator[Exporter]:
    exporter = Exporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
    provider.get_tracer("tests").start_span("held").end()
    yield exporter
    exporter.may_go.set()
    provider.shutdown()


class TestFlush:
    def test_what_the_providers_hold_is_sent_before_it_returns(self, exporter: Exporter) -> None:
        exporter.may_go.set()
        ending.flush()
        assert exporter.names == ["held"]

    def test_an_exporter_that_does_not_return_is_not_waited_for(
        self, exporter: Exporter, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(ending, "SECONDS", 0.05)
        started = time.monotonic()
        ending.flush()
        assert time.monotonic() - started < 5
        assert exporter.names == []

    def test_without_an_sdk_there_is_nothing_to_do(self) -> None:
        ending.flush()
