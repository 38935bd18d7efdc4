"""
The compiled encoders against those in Python: the same bytes, refusals and reports, for whatever is in a record.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from enum import IntEnum
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.attributes import BoundedAttributes
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.metrics.export import ExponentialHistogram, Gauge, Histogram, MetricsData, Sum
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan, SpanLimits, TracerProvider
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.util import BoundedList
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceState,
    set_span_in_context,
)

from otelctx.core.reports import counts
from otelctx.export.otlp import encode_spans
from otelctx.native import TWINS
from otelctx.signals import tracing
from otelctx.signals.recording import RecordingSpan
from tests.export.otlp import strategies as usual

OTLP = "otelctx.export.otlp"

pytestmark = pytest.mark.skipif(
    TWINS[f"{OTLP}.grouping.encode_each"][0] is TWINS[f"{OTLP}.grouping.encode_each"][1], reason="nothing is compiled"
)
THOROUGH = settings(
    max_examples=100,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture],
)

Outcome = tuple[bytes, list[tuple[type, int]], dict[str, int]]


def outcome(encode: Callable[[Callable[[Exception, int], None]], bytes]) -> Outcome:
    """Return the bytes, what was refused, and what was reported."""
    before, refused = counts(), list[tuple[type, int]]()
    payload = encode(lambda error, items: refused.append((type(error), items)))
    return payload, refused, {kind: n - before.get(kind, 0) for kind, n in counts().items() if n != before.get(kind, 0)}


def both(module: str, name: str, records: Sequence[Any]) -> tuple[Outcome, Outcome]:
    """Encode *records* by what is written in Python, and by what is compiled."""
    encode_each, encoder = TWINS[f"{OTLP}.grouping.encode_each"], TWINS[f"{OTLP}.{module}.{name}"]
    python, compiled = (
        outcome(lambda refused, at=at: encode_each[at](records, encoder[at](), refused, lambda _: 1)) for at in (0, 1)
    )
    return python, compiled


class Color(IntEnum):
    RED = 1


class Words(str):
    """A text of a type of its own."""

    __slots__ = ()


class Untellable:
    def __str__(self) -> str:
        raise RuntimeError


LONE = st.text(st.characters(categories=["Cs", "Ll"]), max_size=3)
KEYS = usual.KEYS | LONE | st.sampled_from(["", Words("key"), 2])
ODD = st.sampled_from(
    [Color.RED, Words("words"), Untellable(), {"a"}, 1 + 2j, bytearray(b"x"), range(3), 2**63, -(2**63) - 1, 0, ""]
)
WILD_VALUES = st.recursive(
    usual.SCALARS | usual.LONG | LONE | ODD,
    lambda inner: (
        st.lists(inner, max_size=3) | st.lists(inner, max_size=3).map(tuple) | st.dictionaries(KEYS, inner, max_size=3)
    ),
    max_leaves=6,
)
WILD_ATTRIBUTES = st.none() | usual.ATTRIBUTES | st.dictionaries(KEYS, WILD_VALUES, max_size=3)
WILD_TEXTS = usual.TEXTS | LONE | st.sampled_from([None, "", Words("words"), 12, b"bytes"])
WILD_TIMES = usual.TIMES | st.sampled_from([0, -1, 2**64, True, 1.5, "now"])
WILD_COUNTS = usual.COUNTS | st.sampled_from([2**32, -1, None])
WILD_CONTEXTS = usual.CONTEXTS | st.sampled_from(
    [
        None,
        SpanContext(2**128, 1, is_remote=False),
        SpanContext(-1, -1, is_remote=True),
        SpanContext(1, 2, is_remote=True, trace_state=TraceState([("k", "1"), ("other", "2")])),
    ]
)


@st.composite
def held(draw: st.DrawFn) -> BoundedAttributes:
    """As the SDK's spans have them; what is in them need not have come through its methods."""
    attributes = BoundedAttributes(immutable=False)
    attributes._dict = draw(WILD_ATTRIBUTES) or {}
    attributes.dropped = draw(WILD_COUNTS)
    return attributes


@st.composite
def events(draw: st.DrawFn) -> Event:
    return Event(draw(WILD_TEXTS), draw(WILD_ATTRIBUTES | held()), draw(WILD_TIMES))


@st.composite
def bounded(draw: st.DrawFn, items: st.SearchStrategy[Any]) -> BoundedList:
    several = BoundedList.from_seq(None, draw(st.lists(items, max_size=2)))
    several.dropped = draw(WILD_COUNTS)
    return several


@st.composite
def statuses(draw: st.DrawFn) -> Status:
    status = Status(draw(st.sampled_from(StatusCode)))
    status._description = draw(WILD_TEXTS)
    return status


LINKS = st.builds(Link, usual.CONTEXTS, WILD_ATTRIBUTES | held()) | st.just("no link")
PLACES = [
    (Resource({"number": number}), scope)
    for number in range(2)
    for scope in (None, InstrumentationScope("first"), InstrumentationScope("second"))
]


@st.composite
def spans_by_hand(draw: st.DrawFn) -> ReadableSpan:
    resource, scope = draw(st.sampled_from(PLACES))
    span = ReadableSpan(
        draw(WILD_TEXTS),
        draw(WILD_CONTEXTS),
        parent=draw(WILD_CONTEXTS),
        resource=resource,
        attributes=draw(held() | WILD_ATTRIBUTES),
        kind=draw(st.sampled_from([*SpanKind, "server"])),
        start_time=draw(WILD_TIMES),
        end_time=draw(WILD_TIMES),
        instrumentation_scope=scope,
    )
    span._events = draw(bounded(events()) | st.lists(events(), max_size=1))
    span._links = draw(bounded(LINKS) | st.lists(LINKS, max_size=1))
    span._status = draw(st.none() | statuses())
    return span


class SameIds(IdGenerator):
    def generate_trace_id(self) -> int:
        return 2**127 + 1

    def generate_span_id(self) -> int:
        return 2**63 + 1


@st.composite
def spans_of_ours(draw: st.DrawFn) -> ReadableSpan:
    """Spans that were recorded, of which some go on."""
    limits = SpanLimits(max_span_attributes=draw(st.sampled_from([None, 2])), max_events=1, max_links=1)
    provider = TracerProvider(resource=PLACES[0][0], span_limits=limits, id_generator=SameIds(), shutdown_on_exit=False)
    parent = draw(st.none() | usual.CONTEXTS)
    span: Any = provider.get_tracer(draw(st.sampled_from(["first", "second"]))).start_span(
        draw(usual.TEXTS),
        None if parent is None else set_span_in_context(NonRecordingSpan(parent)),
        draw(st.sampled_from(SpanKind)),
        draw(st.none() | usual.ATTRIBUTES),
        draw(st.lists(st.builds(Link, usual.CONTEXTS, usual.GIVEN_ATTRIBUTES), max_size=2)),
        draw(st.none() | st.integers(0, 2**64 - 1)),
    )
    for name in draw(st.lists(usual.TEXTS, max_size=2)):
        span.add_event(name, draw(st.none() | usual.ATTRIBUTES), draw(st.integers(1, 2**64 - 1)))
    if draw(st.booleans()):
        span.set_status(draw(usual.STATUSES))
    if draw(st.booleans()):
        span.end()
    return span


@pytest.fixture(autouse=True)
def _spans_of_ours() -> Iterator[None]:
    tracing.install()
    yield
    tracing.uninstall()


class TestSpans:
    """Whatever is unusual in a span is left to Python, from the beginning of that span."""

    @given(st.lists(spans_by_hand() | spans_of_ours(), max_size=5))
    @THOROUGH
    def test_the_outcome_is_the_same(self, spans: list[ReadableSpan]) -> None:
        python, compiled = both("spans", "SpanEncoder", spans)
        assert compiled == python

    def test_what_the_tracer_makes_is_not_left_to_python(self) -> None:
        tracer = TracerProvider(shutdown_on_exit=False).get_tracer("tests")
        span = tracer.start_span(
            "n\xe4me", attributes={"text": "\u20ac", "number": -1, "several": ("a", "b"), "real": 0.5}
        )
        assert type(span) is RecordingSpan
        span.add_event("event", {"key": "value"})
        span.set_status(Status(StatusCode.ERROR, "why"))
        span.end()
        (resource,) = ExportTraceServiceRequest.FromString(encode_spans([span])).resource_spans
        assert resource.scope_spans[0].spans[0].name == "n\xe4me"

    def test_a_batch_that_encodes_others_in_the_middle_is_whole(self) -> None:
        context, place = SpanContext(1, 2, is_remote=False), PLACES[0][0]
        inner = [ReadableSpan(f"inner {n}", context, resource=place) for n in range(99)]

        class Nested(ReadableSpan):
            @property
            def name(self) -> str:
                return str(len(encode_spans(inner)))

        spans = [Nested("", context, resource=place), *inner]
        python, compiled = both("spans", "SpanEncoder", spans)
        assert compiled == python

    def test_a_span_that_goes_on_is_read_while_another_thread_writes_to_it(self) -> None:
        span: Any = TracerProvider(shutdown_on_exit=False).get_tracer("tests").start_span("long")
        is_over = threading.Event()

        def write() -> None:
            number = 0
            while not is_over.is_set():
                number += 1
                span.set_attributes({f"key {number % 100}": f"{number % 100}", "last": number})

        writer = threading.Thread(target=write)
        writer.start()
        try:
            for _ in range(300):
                (resource,) = ExportTraceServiceRequest.FromString(encode_spans([span] * 8)).resource_spans
                for read in resource.scope_spans[0].spans:
                    texts = [each for each in read.attributes if each.key != "last"]
                    assert all(each.key == f"key {each.value.string_value}" for each in texts)
        finally:
            is_over.set()
            writer.join()


@st.composite
def log_records(draw: st.DrawFn) -> ReadableLogRecord:
    (record,) = draw(usual.log_batches().filter(bool).map(lambda several: several[:1]))
    resource, scope = draw(st.sampled_from(PLACES))
    inside = record.log_record
    changes = draw(
        st.fixed_dictionaries(
            {},
            optional={
                "timestamp": WILD_TIMES,
                "observed_timestamp": WILD_TIMES,
                "severity_text": WILD_TEXTS,
                "body": WILD_VALUES,
                "attributes": held() | WILD_ATTRIBUTES,
                "event_name": WILD_TEXTS,
                "trace_id": st.sampled_from([None, 0, 2**128, -1, "id"]),
                "span_id": st.sampled_from([None, 0, 2**64, -1, "id"]),
                "trace_flags": st.sampled_from([None, 0, 2**32, -1, True]),
            },
        )
    )
    vars(inside).update(changes)
    return ReadableLogRecord(inside, resource, scope)


@given(st.lists(log_records(), max_size=4))
@THOROUGH
def test_the_outcome_of_log_records_is_the_same(records: list[ReadableLogRecord]) -> None:
    python, compiled = both("logs", "LogEncoder", records)
    assert compiled == python


WILD_NUMBERS = usual.NUMBERS | st.sampled_from([True, None, 2**63, 2**2000, "1", Color.RED])


@given(usual.metrics_data(), st.lists(WILD_NUMBERS, min_size=9, max_size=9), held() | WILD_ATTRIBUTES)
@THOROUGH
def test_the_outcome_of_data_points_is_the_same(data: MetricsData, numbers: list[Any], attributes: Any) -> None:
    fields = ("value", "count", "sum", "min", "max", "start_time_unix_nano", "time_unix_nano")
    for kind, point in points_of(data):
        wild = [
            point,
            *(replace(point, **{name: numbers[n]}) for n, name in enumerate(fields) if hasattr(point, name)),
            replace(point, attributes=attributes),
        ]
        if kind == "histogram":
            wild += [replace(point, bucket_counts=numbers[:2]), replace(point, explicit_bounds=numbers[2:])]
        python, compiled = (
            [outcome_of(getattr(encoder(), kind), each) for each in wild]
            for encoder in TWINS[f"{OTLP}.points.PointEncoder"]
        )
        assert compiled == python


def points_of(data: MetricsData) -> Iterator[tuple[str, Any]]:
    """Yield each point, and the method that encodes it."""
    kinds: dict[type, str] = {
        Gauge: "gauge",
        Sum: "sum",
        Histogram: "histogram",
        ExponentialHistogram: "exponential_histogram",
    }
    for resource in data.resource_metrics:
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                yield from ((kinds[type(metric.data)], point) for point in metric.data.data_points)


def outcome_of(encode: Callable[[Any], bytes], item: Any) -> bytes | type:
    try:
        return encode(item)
    except Exception as error:  # noqa: BLE001 - what it raises is what is compared
        return type(error)


@given(st.lists(held() | WILD_ATTRIBUTES, max_size=4))
@THOROUGH
def test_the_outcome_of_attributes_alone_is_the_same(several: list[Any]) -> None:
    python, compiled = (
        outcome(lambda _, encode=encode: b"".join(map(encode, several)))
        for encode in [encoder(9).encode for encoder in TWINS[f"{OTLP}.attributes.AttributeEncoder"]]
    )
    assert compiled == python


def test_a_record_that_says_nothing_is_encoded() -> None:
    said = LogRecord(severity_number=SeverityNumber.UNSPECIFIED)
    said.observed_timestamp = None
    empty = ReadableLogRecord(said, Resource.get_empty())

    python, compiled = TWINS[f"{OTLP}.logs.LogEncoder"]

    assert compiled().encode(empty) == python().encode(empty) == b"*\0"
