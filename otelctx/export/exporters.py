"""
Exporters for the SDK, one for each signal, that lose nothing while the collector is away.

They stand where the SDK's OTLP exporters would: `BatchSpanProcessor(SpoolingSpanExporter())`. With a processor of
`otelctx.export.processors`, nothing is lost before it reaches them either.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk._logs.export import LogRecordExporter, LogRecordExportResult
from opentelemetry.sdk.metrics.export import MetricExporter, MetricExportResult, MetricsData
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from otelctx.export.encoding import logs_to_batch, metrics_to_batch, spans_to_batch
from otelctx.export.endpoint import Endpoint, endpoint_of
from otelctx.export.protocol import SignalName
from otelctx.export.settings import SpoolSettings, state_directory
from otelctx.export.spool import Spool
from otelctx.export.temporality import aggregation, temporality


def _spool(signal: SignalName, settings: SpoolSettings | None, endpoint: Endpoint | None) -> Spool:
    # What is not given is said by the standard variables, as for the SDK's own exporters.
    if settings is None:
        settings = SpoolSettings(state_directory(os.environ), os.environ.get("OTEL_SERVICE_NAME") or "unknown_service")
    return Spool(signal, endpoint or endpoint_of(signal, os.environ), settings)


class SpoolingSpanExporter(SpanExporter):
    """
    Exports spans.

    Attributes:
        spool: where they wait.
    """

    def __init__(self, settings: SpoolSettings | None = None, endpoint: Endpoint | None = None) -> None:
        """
        Begin to deliver what an earlier process has left.

        Args:
            settings: the bounds; by default those of `SpoolSettings`, in the user's state directory.
            endpoint: where to; by default as the ``OTEL_EXPORTER_OTLP_`` variables say.
        """
        self.spool = _spool("traces", settings, endpoint)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Take *spans*; SUCCESS says that they are acknowledged, so on disk."""
        is_acknowledged = self.spool.accept(spans_to_batch(spans))
        return SpanExportResult.SUCCESS if is_acknowledged else SpanExportResult.FAILURE

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Wait for the collector, unless it fails, and tell whether everything is acknowledged."""
        return self.spool.flush(timeout_millis / 1000)

    def shutdown(self) -> None:
        """Wait for the collector as long as the end of the process may take, and take nothing more."""
        self.spool.close()


class SpoolingLogRecordExporter(LogRecordExporter):
    """
    Exports log records.

    Attributes:
        spool: where they wait.
    """

    def __init__(self, settings: SpoolSettings | None = None, endpoint: Endpoint | None = None) -> None:
        """Begin to deliver what an earlier process has left; the arguments are those of `SpoolingSpanExporter`."""
        self.spool = _spool("logs", settings, endpoint)

    def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        """Take the records of *batch*; SUCCESS says that they are acknowledged, so on disk."""
        is_acknowledged = self.spool.accept(logs_to_batch(batch))
        return LogRecordExportResult.SUCCESS if is_acknowledged else LogRecordExportResult.FAILURE

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Wait for the collector, unless it fails, and tell whether everything is acknowledged."""
        return self.spool.flush(timeout_millis / 1000)

    def shutdown(self) -> None:
        """Wait for the collector as long as the end of the process may take, and take nothing more."""
        self.spool.close()


class SpoolingMetricExporter(MetricExporter):
    """
    Exports metrics.

    Attributes:
        spool: where they wait.
    """

    def __init__(self, settings: SpoolSettings | None = None, endpoint: Endpoint | None = None) -> None:
        """Begin to deliver what an earlier process has left; the arguments are those of `SpoolingSpanExporter`."""
        super().__init__(temporality(os.environ), aggregation(os.environ))
        self.spool = _spool("metrics", settings, endpoint)

    def export(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **_: Any) -> MetricExportResult:  # noqa: ARG002 - nothing is waited for
        """Take *metrics_data*; SUCCESS says that it is acknowledged, so on disk."""
        is_acknowledged = self.spool.accept(metrics_to_batch(metrics_data))
        return MetricExportResult.SUCCESS if is_acknowledged else MetricExportResult.FAILURE

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """Wait for the collector, unless it fails, and tell whether everything is acknowledged."""
        return self.spool.flush(timeout_millis / 1000)

    def shutdown(self, timeout_millis: float = 30_000, **_: Any) -> None:  # noqa: ARG002 - the bound is in the settings
        """Wait for the collector as long as the end of the process may take, and take nothing more."""
        self.spool.close()
