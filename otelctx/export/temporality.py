"""
What metrics look like: sums since the start or since the last collection, and the buckets of histograms.

Source: https://opentelemetry.io/docs/specs/otel/metrics/sdk_exporters/otlp/
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from opentelemetry.sdk.metrics import (
    Counter,
    Histogram,
    ObservableCounter,
    ObservableGauge,
    ObservableUpDownCounter,
    UpDownCounter,
)
from opentelemetry.sdk.metrics.export import AggregationTemporality
from opentelemetry.sdk.metrics.view import Aggregation, ExponentialBucketHistogramAggregation

_KINDS: Final = (Counter, UpDownCounter, Histogram, ObservableCounter, ObservableUpDownCounter, ObservableGauge)
_DELTAS: Final[Mapping[str, tuple[type, ...]]] = {
    "delta": (Counter, Histogram, ObservableCounter),
    "lowmemory": (Counter, Histogram),
}


def temporality(environ: Mapping[str, str]) -> dict[type, AggregationTemporality]:
    """Return what ``OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE`` asks for, or cumulative sums."""
    deltas = _DELTAS.get(environ.get("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "").strip().lower(), ())
    return {
        kind: AggregationTemporality.DELTA if kind in deltas else AggregationTemporality.CUMULATIVE for kind in _KINDS
    }


def aggregation(environ: Mapping[str, str]) -> dict[type, Aggregation]:
    """Return what ``OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION`` asks for, if it is not the default."""
    asked = environ.get("OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION", "").strip().lower()
    is_exponential = asked == "base2_exponential_bucket_histogram"
    return {Histogram: ExponentialBucketHistogramAggregation()} if is_exponential else {}
