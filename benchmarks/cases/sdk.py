"""
The SDK as all contenders have it: stock processors, and exporters that take everything and send nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from opentelemetry import metrics, trace
from opentelemetry._logs import set_logger_provider
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, LogRecordExporter, LogRecordExportResult
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, DEFAULT_ON, ParentBased, Sampler

RESOURCE = Resource({"service.name": "shop", "service.version": "1.4.2", "host.name": "shop-1", "process.pid": 4711})
SAMPLED_OUT = ParentBased(ALWAYS_OFF)


class NoSpans(SpanExporter):
    """Takes spans, and sends nothing."""

    def export(self, spans: Sequence[Any]) -> SpanExportResult:  # noqa: ARG002 - the interface
        """Take *spans*."""
        return SpanExportResult.SUCCESS


class NoLogs(LogRecordExporter):
    """Takes log records, and sends nothing."""

    def export(self, batch: Sequence[Any]) -> LogRecordExportResult:  # noqa: ARG002 - the interface
        """Take *batch*."""
        return LogRecordExportResult.SUCCESS

    def shutdown(self) -> None:
        """Have nothing to close."""

    def force_flush(self, timeout_millis: int = 0) -> bool:  # noqa: ARG002 - the interface
        """Have nothing to wait for."""
        return True


def trace_with(exporter: SpanExporter | None = None, sampler: Sampler = DEFAULT_ON) -> TracerProvider:
    """Make the global provider of tracers, and return it."""
    provider = TracerProvider(sampler, RESOURCE, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter or NoSpans()))
    trace.set_tracer_provider(provider)
    return provider


def measure_metrics() -> InMemoryMetricReader:
    """Make the global provider of meters, and return what reads it."""
    reader = InMemoryMetricReader()
    metrics.set_meter_provider(MeterProvider([reader], RESOURCE, shutdown_on_exit=False))
    return reader


def log_records(exporter: LogRecordExporter | None = None) -> LoggerProvider:
    """Make the global provider of loggers, and return it."""
    provider = LoggerProvider(RESOURCE, shutdown_on_exit=False)
    provider.add_log_record_processor(BatchLogRecordProcessor(exporter or NoLogs()))
    set_logger_provider(provider)
    return provider
