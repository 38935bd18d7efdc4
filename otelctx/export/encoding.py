"""
Encoding: items of the SDK to an OTLP export request, by OpenTelemetry's own encoders.

This is the only place that knows them. An item that cannot be encoded is dropped alone and counted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.metrics.export import MetricsData
from opentelemetry.sdk.trace import ReadableSpan

from otelctx.core.reports import report
from otelctx.export.batches import Batch
from otelctx.export.counters import COUNTERS
from otelctx.export.protocol import SignalName

_Item = TypeVar("_Item")


def spans_to_batch(spans: Sequence[ReadableSpan]) -> Batch:
    """Encode *spans*."""
    return _encode("traces", encode_spans, spans)


def logs_to_batch(records: Sequence[ReadableLogRecord]) -> Batch:
    """Encode log *records*."""
    return _encode("logs", encode_logs, records)


def metrics_to_batch(metrics: MetricsData) -> Batch:
    """Encode *metrics*; with one that cannot be encoded, all of this collection is dropped."""
    points = sum(
        len(metric.data.data_points)
        for resource in metrics.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    )
    try:
        return Batch(encode_metrics(metrics).SerializeToString(), points)
    except Exception as error:  # noqa: BLE001 - reported; a metric of the application may hold anything
        _refused("metrics", points, error)
        return Batch(b"", 0)


def _encode(signal: SignalName, encode: Callable[[Sequence[_Item]], Any], items: Sequence[_Item]) -> Batch:
    try:
        return Batch(encode(items).SerializeToString(), len(items))
    except Exception as error:  # noqa: BLE001 - reported; an attribute of the application may be anything
        if len(items) == 1:
            _refused(signal, 1, error)
            return Batch(b"", 0)
    parts = [_encode(signal, encode, [item]) for item in items]
    return Batch(b"".join(part.payload for part in parts), sum(part.items for part in parts))


def _refused(signal: SignalName, items: int, error: Exception) -> None:
    COUNTERS.add("dropped", signal, items, reason="encoding")
    report("export.encoding", "Telemetry (%s) that cannot be encoded is dropped: %s", signal, type(error).__name__)
