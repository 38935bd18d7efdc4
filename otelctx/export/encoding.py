"""
Encoding: items of the SDK to a batch, which is an OTLP export request.

An item that cannot be encoded is dropped alone and counted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.metrics.export import MetricsData
from opentelemetry.sdk.trace import ReadableSpan

from otelctx.core.reports import report
from otelctx.export.batches import Batch
from otelctx.export.counters import COUNTERS
from otelctx.export.otlp import Refused, encode_logs, encode_metrics, encode_spans
from otelctx.export.protocol import SignalName


def spans_to_batch(spans: Sequence[ReadableSpan]) -> Batch:
    """Encode *spans*."""
    return _batch("traces", len(spans), partial(encode_spans, spans))


def logs_to_batch(records: Sequence[ReadableLogRecord]) -> Batch:
    """Encode log *records*."""
    return _batch("logs", len(records), partial(encode_logs, records))


def metrics_to_batch(metrics: MetricsData) -> Batch:
    """Encode *metrics*, whose items are their data points."""
    points = sum(
        len(metric.data.data_points)
        for resource in metrics.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    )
    return _batch("metrics", points, partial(encode_metrics, metrics))


def _batch(signal: SignalName, items: int, encode: Callable[[Refused], bytes]) -> Batch:
    dropped = 0

    def refused(error: Exception, items: int) -> None:
        nonlocal dropped
        dropped += items
        COUNTERS.add("dropped", signal, items, reason="encoding")
        report("export.encoding", "Telemetry (%s) that cannot be encoded is dropped: %s", signal, type(error).__name__)

    payload = encode(refused)
    return Batch(payload, items - dropped)
