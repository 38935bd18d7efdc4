"""
Metric points as rows.

Every data point becomes one row of its metric's type. The buckets of exponential histograms and the quantiles of
summaries are not kept, only their count and sum.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from otelctx.collector.batch import Batch, Row, empty_batch
from otelctx.collector.values import encode, finite, mapping, moment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
    from opentelemetry.proto.metrics.v1.metrics_pb2 import (
        ExponentialHistogramDataPoint,
        HistogramDataPoint,
        Metric,
        NumberDataPoint,
        SummaryDataPoint,
    )

COLUMNS = (
    "name", "unit", "type", "service", "time", "attributes", "value", "count", "sum", "bounds", "bucket_counts",
)  # fmt: skip


def flatten_metrics(request: ExportMetricsServiceRequest, body: bytes) -> Batch:
    """Make the batch of an export request; *body* is what was received."""
    batch = empty_batch("metrics", body)
    for resource_metrics in request.resource_metrics:
        if not any(len(scope_metrics.metrics) for scope_metrics in resource_metrics.scope_metrics):
            continue
        group = batch.group_for(resource_metrics.resource)
        for scope_metrics in resource_metrics.scope_metrics:
            for metric in scope_metrics.metrics:
                for row in metric_rows(metric, group.service):
                    batch.add(group, row)
    return batch


def metric_rows(metric: Metric, service: str) -> Iterator[Row]:
    """Give one row in the order of COLUMNS for each data point of *metric*."""
    kind = metric.WhichOneof("data")
    if kind is None:
        return
    head = (metric.name, metric.unit, kind, service)
    if kind in {"gauge", "sum"}:
        numbers = metric.gauge.data_points if kind == "gauge" else metric.sum.data_points
        for number in numbers:
            yield (*head, *number_columns(number))
    elif kind == "histogram":
        for histogram in metric.histogram.data_points:
            yield (*head, *histogram_columns(histogram))
    else:
        points = metric.summary.data_points if kind == "summary" else metric.exponential_histogram.data_points
        for point in points:
            yield (*head, *total_columns(point))


def number_columns(point: NumberDataPoint) -> Row:
    """Give the columns of a gauge's or sum's point; its value is JSON, so that an integer stays one."""
    kind = point.WhichOneof("value")
    value = point.as_int if kind == "as_int" else finite(point.as_double) if kind == "as_double" else None
    return (moment(point.time_unix_nano), encode(mapping(point.attributes)), encode(value), None, None, None, None)


def histogram_columns(point: HistogramDataPoint) -> Row:
    """Give the columns of a histogram's point; counts are unsigned 64-bit, so they are kept as strings."""
    return (
        moment(point.time_unix_nano), encode(mapping(point.attributes)), "null", str(point.count),
        encode(finite(point.sum)) if point.HasField("sum") else "null",
        encode([finite(bound) for bound in point.explicit_bounds]),
        encode([str(count) for count in point.bucket_counts]),
    )  # fmt: skip


def total_columns(point: ExponentialHistogramDataPoint | SummaryDataPoint) -> Row:
    """Give the columns of a point of which only count and sum are kept."""
    attributes = encode(mapping(point.attributes))
    return (moment(point.time_unix_nano), attributes, "null", str(point.count), encode(finite(point.sum)), None, None)
