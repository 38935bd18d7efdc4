"""
Metrics as the bytes of an ExportMetricsServiceRequest.

Field numbers are those of opentelemetry/proto/metrics/v1/metrics.proto.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final, NamedTuple, TypeVar

from opentelemetry.sdk.metrics.export import DataT, Gauge, Histogram, Metric, MetricsData, Sum
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from otelctx.export.otlp.grouping import Refused, encode_each, report_refused
from otelctx.export.otlp.points import PointEncoder
from otelctx.export.otlp.wire import LENGTH, VARINT, length_delimited, tag, text_field, uint32_field, varint

# Metric
_NAME: Final = tag(1, LENGTH)
_DESCRIPTION: Final = tag(2, LENGTH)
_UNIT: Final = tag(3, LENGTH)
_GAUGE: Final = tag(5, LENGTH)
_SUM: Final = tag(7, LENGTH)
_HISTOGRAM: Final = tag(9, LENGTH)
_EXPONENTIAL_HISTOGRAM: Final = tag(10, LENGTH)
# Gauge, Sum, Histogram, ExponentialHistogram
_DATA_POINTS: Final = tag(1, LENGTH)
_TEMPORALITY: Final = tag(2, VARINT)
# Sum
_IS_MONOTONIC: Final = tag(3, VARINT) + b"\x01"

PointT = TypeVar("PointT")


def encode_metrics(data: MetricsData, refused: Refused = report_refused) -> bytes:
    """
    Return the serialised ExportMetricsServiceRequest of *data*.

    Args:
        data: what the SDK hands to an exporter.
        refused: told of data points that cannot be encoded and are left out.
    """
    return encode_each(_metrics_of(data), _MetricEncoder(refused), refused, _points_of)


class _From(NamedTuple):
    """A metric, and where it is from."""

    resource: Resource
    instrumentation_scope: InstrumentationScope
    metric: Metric


def _metrics_of(data: MetricsData) -> Iterator[_From]:
    for resource_metrics in data.resource_metrics:
        for scope_metrics in resource_metrics.scope_metrics:
            for metric in scope_metrics.metrics:
                yield _From(resource_metrics.resource, scope_metrics.scope, metric)


def _points_of(located: _From) -> int:
    # What cannot be encoded may have no points, whatever its type says.
    return len(getattr(located.metric.data, "data_points", ()))


class _MetricEncoder:
    """Encodes the metrics of one batch."""

    __slots__ = ("_points", "_refused")

    def __init__(self, refused: Refused) -> None:
        self._points = PointEncoder()
        self._refused = refused

    def encode(self, located: _From) -> bytes:
        """Return the body of a Metric."""
        metric = located.metric
        name, description = text_field(_NAME, metric.name), text_field(_DESCRIPTION, metric.description)
        return b"".join((name, description, text_field(_UNIT, metric.unit), self._data(metric.data)))

    def _data(self, data: DataT) -> bytes:
        if isinstance(data, Gauge):
            return self._with_points(_GAUGE, data.data_points, self._points.gauge, b"")
        temporality = uint32_field(_TEMPORALITY, data.aggregation_temporality)
        if isinstance(data, Sum):
            after = temporality + _IS_MONOTONIC if data.is_monotonic else temporality
            return self._with_points(_SUM, data.data_points, self._points.sum, after)
        if isinstance(data, Histogram):
            return self._with_points(_HISTOGRAM, data.data_points, self._points.histogram, temporality)
        points, encode = data.data_points, self._points.exponential_histogram
        return self._with_points(_EXPONENTIAL_HISTOGRAM, points, encode, temporality)

    def _with_points(
        self, tag: bytes, points: Iterable[PointT], encode: Callable[[PointT], bytes], after: bytes
    ) -> bytes:
        parts: list[bytes] = []
        for point in points:
            try:
                body = encode(point)
            except Exception as error:  # noqa: BLE001 - told; whatever is wrong with this one, the others are to arrive
                self._refused(error, 1)
                continue
            parts += (_DATA_POINTS, varint(len(body)), body)
        # As the SDK's encoder does: a metric without points says nothing of its kind.
        return length_delimited(tag, b"".join((*parts, after))) if parts else b""
