"""
Everything that an SDK may hand to an exporter, as Hypothesis strategies; and the SDK's own encoder to compare with.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.metrics import Exemplar
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Buckets,
    ExponentialHistogram,
    ExponentialHistogramDataPoint,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util import BoundedList
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

UINT64 = st.integers(0, 2**64 - 1)
COUNTS = st.integers(0, 300) | st.integers(0, 2**32 - 1)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20) | st.text("aé€😀", min_size=100, max_size=300)
# Lengths and numbers around the sizes at which a varint gets another byte.
LONG = st.sampled_from([0, 1, 118, 119, 120, 126, 127, 128, 129, 16_370, 16_383, 16_384, 70_000]).map(lambda n: "x" * n)
INTEGERS = (
    st.sampled_from([sign * 2**bits + step for sign in (1, -1) for bits in range(0, 63, 7) for step in (-1, 0, 1)])
    | st.integers(-(2**63), 2**63 - 1)
    | st.sampled_from([-(2**63), 2**63 - 1])
)
FLOATS = st.floats()
SCALARS = st.none() | st.booleans() | TEXTS | INTEGERS | FLOATS | st.binary(max_size=200)
KEYS = st.sampled_from(["a", "http.route", "user.id", "é"]) | TEXTS.filter(bool)
VALUES = st.recursive(
    SCALARS | LONG,
    lambda inner: (
        st.lists(inner, max_size=4) | st.lists(inner, max_size=3).map(tuple) | st.dictionaries(KEYS, inner, max_size=4)
    ),
    max_leaves=8,
)
ATTRIBUTES = st.dictionaries(KEYS, SCALARS | VALUES, max_size=4)


@st.composite
def bounded(draw: st.DrawFn) -> BoundedAttributes:
    attributes = BoundedAttributes(attributes=draw(ATTRIBUTES), immutable=draw(st.booleans()))
    attributes.dropped = draw(COUNTS)
    return attributes


GIVEN_ATTRIBUTES = st.none() | ATTRIBUTES | bounded()
SCHEMAS = st.sampled_from(["", "https://opentelemetry.io/schemas/1.30.0"])
# The SDK tells resources and scopes apart by `==`, where we go by what is written: None and "" are the same, 1 and True
# are not. There are no such pairs in here.
RESOURCES = st.lists(st.tuples(ATTRIBUTES, SCHEMAS), min_size=1, max_size=2).map(
    lambda several: [Resource({**given, "number": number}, url) for number, (given, url) in enumerate(several)]
)
SCOPES = st.lists(st.tuples(TEXTS, st.none() | TEXTS.filter(bool), SCHEMAS), max_size=2).map(
    lambda several: [None, *(InstrumentationScope(f"{n}{name}", *rest) for n, (name, *rest) in enumerate(several))]
)
STATES = st.sampled_from([TraceState(), TraceState([("vendor", "1"), ("other", "x=y")])])
CONTEXTS = st.builds(
    SpanContext,
    st.integers(0, 2**128 - 1),
    UINT64,
    st.booleans(),
    st.sampled_from([TraceFlags(0), TraceFlags(1)]),
    STATES,
)
TIMES = st.none() | UINT64


@st.composite
def events(draw: st.DrawFn) -> Event:
    return Event(draw(TEXTS), draw(GIVEN_ATTRIBUTES), draw(UINT64))


LINKS = st.builds(Link, CONTEXTS, GIVEN_ATTRIBUTES)
STATUSES = st.sampled_from([Status(code) for code in StatusCode]) | st.builds(Status, st.just(StatusCode.ERROR), TEXTS)


@st.composite
def lists_of(draw: st.DrawFn, items: st.SearchStrategy[Any]) -> Any:
    given = draw(st.lists(items, max_size=3))
    if draw(st.booleans()):
        return given
    kept = BoundedList.from_seq(None, given)
    kept.dropped = draw(COUNTS)
    return kept


@st.composite
def spans(draw: st.DrawFn, resources: list[Resource], scopes: list[InstrumentationScope | None]) -> ReadableSpan:
    return ReadableSpan(
        draw(TEXTS | LONG),
        draw(CONTEXTS),
        parent=draw(st.none() | CONTEXTS),
        resource=draw(st.sampled_from(resources)),
        attributes=draw(GIVEN_ATTRIBUTES),
        events=draw(lists_of(events())),
        links=draw(lists_of(LINKS)),
        kind=draw(st.sampled_from(SpanKind)),
        status=draw(STATUSES),
        start_time=draw(TIMES),
        end_time=draw(TIMES),
        instrumentation_scope=draw(st.sampled_from(scopes)),
    )


@st.composite
def span_batches(draw: st.DrawFn) -> list[ReadableSpan]:
    return draw(st.lists(spans(draw(RESOURCES), draw(SCOPES)), max_size=5))


@st.composite
def log_records(
    draw: st.DrawFn, resources: list[Resource], scopes: list[InstrumentationScope | None]
) -> ReadableLogRecord:
    record = LogRecord(
        timestamp=draw(TIMES),
        observed_timestamp=draw(UINT64),
        severity_text=draw(st.none() | TEXTS),
        severity_number=draw(st.none() | st.sampled_from(SeverityNumber)),
        body=draw(VALUES),
        attributes=draw(GIVEN_ATTRIBUTES),
        event_name=draw(st.none() | TEXTS),
    )
    record.trace_id, record.span_id = draw(st.integers(0, 2**128 - 1)), draw(UINT64)
    record.trace_flags = TraceFlags(draw(st.integers(0, 255)))
    return ReadableLogRecord(record, draw(st.sampled_from(resources)), draw(st.sampled_from(scopes)))


@st.composite
def log_batches(draw: st.DrawFn) -> list[ReadableLogRecord]:
    return draw(st.lists(log_records(draw(RESOURCES), draw(SCOPES)), max_size=5))


NUMBERS = INTEGERS | FLOATS
EXEMPLARS = st.lists(
    st.builds(
        Exemplar,
        filtered_attributes=GIVEN_ATTRIBUTES,
        value=NUMBERS,
        time_unix_nano=UINT64,
        span_id=st.none() | UINT64,
        trace_id=st.none() | st.integers(0, 2**128 - 1),
    ),
    max_size=2,
)
NUMBER_POINTS = st.lists(
    st.builds(
        NumberDataPoint,
        attributes=GIVEN_ATTRIBUTES,
        start_time_unix_nano=TIMES,
        time_unix_nano=UINT64,
        value=NUMBERS,
        exemplars=EXEMPLARS,
    ),
    max_size=3,
)
# One object in several points, as the SDK has it, and others too.
BOUNDS = st.sampled_from([(), (1.0,), (0.005, 0.01, 0.5), [2.0, 3.0]])
HISTOGRAM_POINTS = st.lists(
    st.builds(
        HistogramDataPoint,
        attributes=GIVEN_ATTRIBUTES,
        start_time_unix_nano=TIMES,
        time_unix_nano=UINT64,
        count=UINT64,
        sum=NUMBERS,
        bucket_counts=st.lists(UINT64, max_size=16),
        explicit_bounds=BOUNDS,
        min=FLOATS | st.none(),
        max=FLOATS | st.none(),
        exemplars=EXEMPLARS,
    ),
    max_size=3,
)
BUCKETS = st.builds(Buckets, st.integers(-(2**31), 2**31 - 1), st.lists(UINT64, max_size=4))
EXPONENTIAL_POINTS = st.lists(
    st.builds(
        ExponentialHistogramDataPoint,
        attributes=GIVEN_ATTRIBUTES,
        start_time_unix_nano=TIMES,
        time_unix_nano=UINT64,
        count=UINT64,
        sum=NUMBERS,
        scale=st.integers(-(2**31), 2**31 - 1),
        zero_count=UINT64,
        positive=BUCKETS,
        negative=BUCKETS,
        flags=COUNTS,
        min=FLOATS | st.none(),
        max=FLOATS | st.none(),
        exemplars=EXEMPLARS,
    ),
    max_size=3,
)
TEMPORALITIES = st.sampled_from([AggregationTemporality.DELTA, AggregationTemporality.CUMULATIVE])
METRICS = st.builds(
    Metric,
    TEXTS,
    st.none() | TEXTS,
    st.none() | TEXTS,
    st.builds(Gauge, NUMBER_POINTS)
    | st.builds(Sum, NUMBER_POINTS, TEMPORALITIES, st.booleans())
    | st.builds(Histogram, HISTOGRAM_POINTS, TEMPORALITIES)
    | st.builds(ExponentialHistogram, EXPONENTIAL_POINTS, TEMPORALITIES),
)


@st.composite
def metrics_data(draw: st.DrawFn) -> MetricsData:
    """As the SDK groups them: each resource and each scope in it once, none without metrics."""
    return MetricsData(
        [
            ResourceMetrics(
                resource,
                [
                    ScopeMetrics(
                        scope or InstrumentationScope("none"), draw(st.lists(METRICS, min_size=1, max_size=2)), ""
                    )
                    for scope in draw(SCOPES)
                ],
                "",
            )
            for resource in draw(RESOURCES)
        ]
    )
