"""
Data points: the values of one metric, each with its attributes.

Field numbers are those of opentelemetry/proto/metrics/v1/metrics.proto.
"""

from __future__ import annotations

from collections.abc import Sequence
from struct import pack
from typing import Final

from opentelemetry.sdk.metrics import Exemplar
from opentelemetry.sdk.metrics.export import (
    Buckets,
    ExponentialHistogramDataPoint,
    HistogramDataPoint,
    NumberDataPoint,
)

from otelctx.export.otlp.attributes import AttributeEncoder, snapshot
from otelctx.export.otlp.wire import (
    FIXED64,
    LENGTH,
    VARINT,
    double,
    fixed64_field,
    length_delimited,
    sfixed64,
    sint32,
    tag,
    uint32_field,
    varint,
)
from otelctx.native import compiled

# The same in all three kinds of points; an exemplar has its time there too.
_START: Final = tag(2, FIXED64)
_TIME: Final = tag(3, FIXED64)
# NumberDataPoint
_NUMBER_DOUBLE: Final = tag(4, FIXED64)
_NUMBER_EXEMPLARS: Final = tag(5, LENGTH)
_NUMBER_INT: Final = tag(6, FIXED64)
_NUMBER_ATTRIBUTES: Final = 7
# HistogramDataPoint and, but for the buckets, ExponentialHistogramDataPoint
_COUNT: Final = tag(4, FIXED64)
_SUM: Final = tag(5, FIXED64)
# HistogramDataPoint
_BUCKET_COUNTS: Final = tag(6, LENGTH)
_BOUNDS: Final = tag(7, LENGTH)
_EXEMPLARS: Final = tag(8, LENGTH)
_ATTRIBUTES: Final = 9
_MIN: Final = tag(11, FIXED64)
_MAX: Final = tag(12, FIXED64)
# ExponentialHistogramDataPoint
_EXPONENTIAL_ATTRIBUTES: Final = 1
_SCALE: Final = tag(6, VARINT)
_ZERO_COUNT: Final = tag(7, FIXED64)
_POSITIVE: Final = tag(8, LENGTH)
_NEGATIVE: Final = tag(9, LENGTH)
_EXPONENTIAL_FLAGS: Final = tag(10, VARINT)
_EXPONENTIAL_EXEMPLARS: Final = tag(11, LENGTH)
_EXPONENTIAL_MIN: Final = tag(12, FIXED64)
_EXPONENTIAL_MAX: Final = tag(13, FIXED64)
# ExponentialHistogramDataPoint.Buckets
_OFFSET: Final = tag(1, VARINT)
_EXPONENTIAL_COUNTS: Final = tag(2, LENGTH)
# Exemplar
_EXEMPLAR_TIME: Final = tag(2, FIXED64)
_EXEMPLAR_DOUBLE: Final = tag(3, FIXED64)
_EXEMPLAR_SPAN_ID: Final = tag(4, LENGTH) + varint(8)
_EXEMPLAR_TRACE_ID: Final = tag(5, LENGTH) + varint(16)
_EXEMPLAR_INT: Final = tag(6, FIXED64)
_EXEMPLAR_ATTRIBUTES: Final = 7


@compiled
class PointEncoder:
    """Encodes the data points of one batch."""

    __slots__ = ("_attributes", "_bounds", "_bounds_field", "_exemplar", "_exponential", "_number")

    def __init__(self) -> None:
        """Begin with nothing known."""
        self._attributes = AttributeEncoder(_ATTRIBUTES)
        self._exemplar = AttributeEncoder(_EXEMPLAR_ATTRIBUTES)
        self._exponential = AttributeEncoder(_EXPONENTIAL_ATTRIBUTES)
        self._number = AttributeEncoder(_NUMBER_ATTRIBUTES)
        # All points of a histogram have the same bounds.
        self._bounds: Sequence[float] = ()
        self._bounds_field = b""

    def gauge(self, point: NumberDataPoint) -> bytes:
        """Return the body of a NumberDataPoint that has no beginning."""
        return self._number_from(b"", point)

    def sum(self, point: NumberDataPoint) -> bytes:
        """Return the body of a NumberDataPoint."""
        return self._number_from(fixed64_field(_START, point.start_time_unix_nano), point)

    def _number_from(self, start: bytes, point: NumberDataPoint) -> bytes:
        value = point.value
        is_int = isinstance(value, int)
        parts = [start, fixed64_field(_TIME, point.time_unix_nano)]
        if not is_int:
            parts += (_NUMBER_DOUBLE, double(value))
        if point.exemplars:
            parts += [length_delimited(_NUMBER_EXEMPLARS, self._exemplar_of(each)) for each in point.exemplars]
        if is_int:
            parts += (_NUMBER_INT, sfixed64(value))
        self._number.add_to(parts, snapshot(point.attributes))
        return b"".join(parts)

    def histogram(self, point: HistogramDataPoint) -> bytes:
        """Return the body of a HistogramDataPoint."""
        counts, bounds = point.bucket_counts, point.explicit_bounds
        parts = [
            fixed64_field(_START, point.start_time_unix_nano),
            fixed64_field(_TIME, point.time_unix_nano),
            fixed64_field(_COUNT, point.count),
            _optional_double(_SUM, point.sum),
        ]
        if counts:
            parts += (_BUCKET_COUNTS, varint(8 * len(counts)), pack(f"<{len(counts)}Q", *counts))
        if bounds is not self._bounds:
            field = length_delimited(_BOUNDS, pack(f"<{len(bounds)}d", *bounds)) if bounds else b""
            self._bounds, self._bounds_field = bounds, field
        parts.append(self._bounds_field)
        if point.exemplars:
            parts += [length_delimited(_EXEMPLARS, self._exemplar_of(exemplar)) for exemplar in point.exemplars]
        self._attributes.add_to(parts, snapshot(point.attributes))
        parts += (_optional_double(_MIN, point.min), _optional_double(_MAX, point.max))
        return b"".join(parts)

    def exponential_histogram(self, point: ExponentialHistogramDataPoint) -> bytes:
        """Return the body of an ExponentialHistogramDataPoint."""
        parts: list[bytes] = []
        self._exponential.add_to(parts, snapshot(point.attributes))
        parts += (
            fixed64_field(_START, point.start_time_unix_nano),
            fixed64_field(_TIME, point.time_unix_nano),
            fixed64_field(_COUNT, point.count),
            _optional_double(_SUM, point.sum),
            _SCALE + sint32(point.scale) if point.scale else b"",
            fixed64_field(_ZERO_COUNT, point.zero_count),
            _buckets(_POSITIVE, point.positive),
            _buckets(_NEGATIVE, point.negative),
            uint32_field(_EXPONENTIAL_FLAGS, point.flags),
        )
        parts += [length_delimited(_EXPONENTIAL_EXEMPLARS, self._exemplar_of(exemplar)) for exemplar in point.exemplars]
        parts += (_optional_double(_EXPONENTIAL_MIN, point.min), _optional_double(_EXPONENTIAL_MAX, point.max))
        return b"".join(parts)

    def _exemplar_of(self, exemplar: Exemplar) -> bytes:
        is_int = not isinstance(exemplar.value, float)
        parts = [fixed64_field(_EXEMPLAR_TIME, exemplar.time_unix_nano)]
        if not is_int:
            parts += (_EXEMPLAR_DOUBLE, double(exemplar.value))
        if exemplar.span_id is not None and exemplar.trace_id is not None:
            parts += (_EXEMPLAR_SPAN_ID, exemplar.span_id.to_bytes(8, "big"))
            parts += (_EXEMPLAR_TRACE_ID, exemplar.trace_id.to_bytes(16, "big"))
        if is_int:
            parts += (_EXEMPLAR_INT, sfixed64(exemplar.value))
        self._exemplar.add_to(parts, snapshot(exemplar.filtered_attributes))
        return b"".join(parts)


def _optional_double(tag: bytes, number: float | None) -> bytes:
    return b"" if number is None else tag + double(number)


def _buckets(tag: bytes, buckets: Buckets) -> bytes:
    if not buckets.bucket_counts:
        return b""
    offset = _OFFSET + sint32(buckets.offset) if buckets.offset else b""
    counts = length_delimited(_EXPONENTIAL_COUNTS, b"".join(map(varint, buckets.bucket_counts)))
    return length_delimited(tag, offset + counts)
