"""Measurements by the faster way, beside the SDK's own: whatever is recorded, what is exported is the same."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from threading import Barrier, Thread
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.context import Context
from opentelemetry.sdk.metrics import (
    AlwaysOffExemplarFilter,
    AlwaysOnExemplarFilter,
    Counter,
    Histogram,
    MeterProvider,
    SimpleFixedSizeExemplarReservoir,
    TraceBasedExemplarFilter,
)
from opentelemetry.sdk.metrics._internal.exemplar import exemplar_reservoir
from opentelemetry.sdk.metrics.export import AggregationTemporality, InMemoryMetricReader
from opentelemetry.sdk.metrics.view import (
    DropAggregation,
    ExplicitBucketHistogramAggregation,
    ExponentialBucketHistogramAggregation,
    LastValueAggregation,
    View,
)
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

from otelctx.signals import shortcuts

ORIGINAL = Histogram.record
DELTAS: dict[type, Any] = dict.fromkeys((Counter, Histogram), AggregationTemporality.DELTA)


@contextmanager
def fast() -> Iterator[bool]:
    """Measure by the faster way, and tell whether there is one: another SDK records by itself."""
    shortcuts.install()
    try:
        yield Histogram.record is not ORIGINAL
    finally:
        shortcuts.uninstall()


with fast() as is_fast:
    with_ours = pytest.mark.skipif(not is_fast, reason="this OpenTelemetry records by itself")


class Colour(str, Enum):
    RED = "red"


class Verb(str):
    __slots__ = ()


class OfMine(Mapping[str, Any]):
    """A mapping that is no dict."""

    def __getitem__(self, key: str) -> Any:
        return {"name": "mine"}[key]

    def __iter__(self) -> Iterator[str]:
        return iter(["name"])

    def __len__(self) -> int:
        return 1

    def __repr__(self) -> str:
        return "OfMine()"


VALUES = st.sampled_from(
    ["red", "green", Colour.RED, Verb("red"), 1, 0, True, False, 1.0, -0.0, None, b"1", (1, 2), [1]]
)
ATTRIBUTES = st.one_of(
    st.sampled_from(
        [None, {}, {"route": "/a", "status": 200}, {"status": 200, "route": "/a"}, OfMine(), [], "", {"": 1}]
    ),
    st.dictionaries(st.sampled_from(["a", "b", "c", Verb("a")]), VALUES, max_size=3),
)
AMOUNTS = st.one_of(
    st.sampled_from([0, -0.0, 0.1, 5, 5.0, -1, True, float("nan"), float("inf"), 2.0**1000]),
    st.floats(0, 20_000),
    st.integers(0, 20_000),
)
# No span, one that is sampled, one that is not, and an empty Context, which is none.
CONTEXTS: list[Context | None] = [
    None,
    *(
        set_span_in_context(
            NonRecordingSpan(SpanContext(7, 7 + flags, is_remote=True, trace_flags=TraceFlags(flags))), Context()
        )
        for flags in (1, 0)
    ),
    Context(),
]


@dataclass
class Record:
    instrument: str
    amount: Any
    attributes: Any
    context: int


@dataclass
class Collect:
    reader: int


@dataclass
class AddReader:
    pass


STEPS = st.lists(
    st.one_of(
        st.builds(
            Record,
            st.sampled_from(["counter", "up_down", "histogram", "seconds"]),
            AMOUNTS,
            ATTRIBUTES,
            st.integers(0, len(CONTEXTS) - 1),
        ),
        st.builds(Collect, st.integers(0, 2)),
        st.builds(AddReader),
    ),
    max_size=60,
)


class OfTheirs(SimpleFixedSizeExemplarReservoir):
    """A reservoir that somebody else has made."""


VIEWS: list[list[View]] = [
    [],
    [View(instrument_name="*", attribute_keys={"a", "route"})],
    [View(instrument_name="h*", aggregation=DropAggregation())],
    [View(instrument_name="h*", aggregation=ExplicitBucketHistogramAggregation([1, 2], record_min_max=False))],
    [View(instrument_name="*", aggregation=LastValueAggregation())],
    [View(instrument_name="histogram"), View(instrument_name="histogram", name="again", attribute_keys={"b"})],
    [View(instrument_name="*", exemplar_reservoir_factory=lambda _: OfTheirs)],  # type: ignore[arg-type, return-value]
]
FILTERS = [TraceBasedExemplarFilter(), AlwaysOnExemplarFilter(), AlwaysOffExemplarFilter()]


def exported(reader: InMemoryMetricReader) -> list[Any]:
    """All that *reader* exports now, but for times."""
    data = reader.get_metrics_data()
    scopes = [scope for resource in (data.resource_metrics if data else ()) for scope in resource.scope_metrics]
    metrics = [metric for scope in scopes if scope.scope.name == "tests" for metric in scope.metrics]
    return [
        (metric.name, type(metric.data).__name__, [point(of) for of in metric.data.data_points]) for metric in metrics
    ]


def point(of: Any) -> dict[str, Any]:
    shown = {name: value for name, value in vars(of).items() if not name.endswith("time_unix_nano")}
    shown["attributes"] = repr(of.attributes)
    shown["exemplars"] = [
        (one.value, repr(one.filtered_attributes), one.trace_id, one.span_id) for one in of.exemplars or ()
    ]
    # What is not a number is not even equal to itself, and 1 is equal to 1.0.
    return {name: repr(value) for name, value in shown.items()}


def result(steps: list[Any], views: list[View], exemplar_filter: Any) -> list[Any]:
    """Do all of *steps*, and return what was exported and raised."""
    readers = [InMemoryMetricReader(), InMemoryMetricReader(DELTAS)]
    provider = MeterProvider(readers, exemplar_filter=exemplar_filter, views=views, shutdown_on_exit=False)
    meter = provider.get_meter("tests")
    record = {
        "counter": meter.create_counter("counter").add,
        "up_down": meter.create_up_down_counter("up_down").add,
        "histogram": meter.create_histogram("histogram").record,
        "seconds": meter.create_histogram("s", explicit_bucket_boundaries_advisory=[0.5, 1.0]).record,
    }
    found: list[Any] = []
    for step in steps:
        match step:
            case Record(name, amount, attributes, context):
                try:
                    record[name](amount, attributes, CONTEXTS[context])
                except (OverflowError, TypeError) as error:
                    found.append(repr(error))
            case Collect(number):
                found.append(exported(readers[number % len(readers)]))
            case AddReader() if hasattr(provider, "add_metric_reader"):
                readers.append(InMemoryMetricReader(DELTAS))
                provider.add_metric_reader(readers[-1])
    return found + [exported(reader) for reader in readers]


@with_ours
class TestAgainstTheSDK:
    """The same measurements, recorded by the SDK and by ours, give the same points."""

    @given(STEPS, st.sampled_from(VIEWS), st.sampled_from(FILTERS))
    def test_all_that_is_exported_is_the_same(self, steps: list[Any], views: list[View], exemplars: Any) -> None:
        with pytest.MonkeyPatch.context() as patch:
            # A counter keeps one exemplar by chance; here the last.
            patch.setattr(exemplar_reservoir, "randrange", lambda *_: 0)
            plain = result(steps, views, exemplars)
            with fast():
                assert result(steps, views, exemplars) == plain

    @given(
        st.lists(AMOUNTS, min_size=150, max_size=300),
        st.lists(st.integers(0, len(CONTEXTS) - 1), min_size=1, max_size=10),
    )
    def test_so_it_is_for_many_of_one_series(self, amounts: list[Any], contexts: list[int]) -> None:
        steps = [
            Record(name, amount, {"route": "/a", "status": 200}, contexts[number % len(contexts)])
            for name in ("up_down", "histogram")
            for number, amount in enumerate(amounts)
        ]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(exemplar_reservoir, "randrange", lambda *_: 0)
            plain = result(steps, [], TraceBasedExemplarFilter())
            with fast():
                assert result(steps, [], TraceBasedExemplarFilter()) == plain

    def test_a_mapping_that_makes_up_what_it_does_not_have_is_asked_for_nothing(self) -> None:
        reader = InMemoryMetricReader()
        provider = MeterProvider([reader], shutdown_on_exit=False)
        with fast():
            counter = provider.get_meter("m").create_counter("c")
            counter.add(1, {"route": "/"})
            counter.add(1, {"route": "/"})
            given = defaultdict(str, tenant="north")
            counter.add(1, given)
            assert dict(given) == {"tenant": "north"}
            data: Any = reader.get_metrics_data()
        points = data.resource_metrics[0].scope_metrics[0].metrics[0].data.data_points
        assert [(dict(point.attributes), point.value) for point in points] == [
            ({"route": "/"}, 2),
            ({"tenant": "north"}, 1),
        ]

    def test_an_integer_that_no_float_can_hold_fails_nobody_else(self) -> None:
        reader = InMemoryMetricReader()
        provider = MeterProvider([reader], shutdown_on_exit=False)
        with fast():
            counter = provider.get_meter("m").create_up_down_counter("i")
            counter.add(1, {})
            counter.add(2**1023, {})
            counter.add(2**1023, {})
            for _ in range(200):
                counter.add(0.5, {})
            data: Any = reader.get_metrics_data()
        (point,) = data.resource_metrics[0].scope_metrics[0].metrics[0].data.data_points
        assert point.value == 2**1024 + 1

    # By itself: the SDK's own fails at amounts that differ as much as those above.
    @given(st.lists(st.floats(1, 1000), max_size=200))
    def test_so_it_is_for_exponential_buckets(self, amounts: list[float]) -> None:
        views = [View(instrument_name="h*", aggregation=ExponentialBucketHistogramAggregation())]
        steps = [Record("histogram", amount, {"route": "/a"}, 1) for amount in amounts]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(exemplar_reservoir, "randrange", lambda *_: 0)
            plain = result(steps, views, TraceBasedExemplarFilter())
            with fast():
                assert result(steps, views, TraceBasedExemplarFilter()) == plain


class Shop:
    """A counter and its reader."""

    def __init__(self) -> None:
        self.reader = InMemoryMetricReader(DELTAS)
        self.provider = MeterProvider([self.reader], shutdown_on_exit=False)
        self.orders = self.provider.get_meter("tests").create_counter("orders")
        self.took = self.provider.get_meter("tests").create_histogram("took")

    def total(self) -> float:
        return float(
            sum(float(point["value"]) for _, kind, points in exported(self.reader) for point in points if kind == "Sum")
        )


@with_ours
class TestMeasuring:
    def test_neither_the_sdk_nor_a_lock_is_asked_for_a_series_that_is_known(self) -> None:
        with fast():
            shop = Shop()
            shop.orders.add(1, {"tenant": "north"})
            (aggregation,) = vars(shop.orders)["_otelctx_known"].shapes[1].series["north", "north"].aggregations
            with aggregation._aggregation._lock:
                shop.orders.add(2, {"tenant": "north"})
            assert shop.total() == 3

    def test_threads_lose_nothing_while_it_is_read(self) -> None:
        with fast():
            shop = Shop()
            start, done, read = Barrier(5), [], []

            def work() -> None:
                start.wait()
                for number in range(3000):
                    shop.orders.add(1, {"tenant": f"t{number % 3}"})
                done.append(True)

            threads = [Thread(target=work) for _ in range(4)]
            for thread in threads:
                thread.start()
            start.wait()
            while len(done) < 4:
                read.append(shop.total())
            for thread in threads:
                thread.join()
            assert sum(read) + shop.total() == 12_000

    def test_what_waits_is_exported_when_it_is_uninstalled(self) -> None:
        with fast():
            shop = Shop()
            for _ in range(3):
                shop.orders.add(1)
        shop.orders.add(1)
        assert shop.total() == 4

    def test_what_waits_has_a_bound(self) -> None:
        with fast():
            shop = Shop()
            for _ in range(1001):
                shop.took.record(1, {"tenant": "north"}, CONTEXTS[1])
            (aggregation,) = vars(shop.took)["_otelctx_known"].shapes[1].series["north", "north"].aggregations
            assert len(aggregation.amounts) <= 64
            assert len(aggregation.samples) <= 64

    def test_what_is_known_has_a_bound(self) -> None:
        with fast():
            shop = Shop()
            for number in [*range(2500)] * 2:
                shop.orders.add(1, {"order": number})
            assert sum(len(shape.series) for shape in vars(shop.orders)["_otelctx_known"].shapes.values()) <= 1000
            assert shop.total() == 5000

    def test_a_meter_that_is_switched_off_records_nothing(self) -> None:
        with fast():
            shop = Shop()
            shop.orders.add(1)
            shop.orders.add(1)
            shop.provider._set_meter_configurator(meter_configurator=_off)
            shop.orders.add(1)
            assert shop.total() == 2

    def test_an_exemplar_does_not_keep_its_request_alive(self) -> None:
        with fast():
            shop = Shop()
            request = object()
            inside = Context({**(CONTEXTS[1] or {}), "request": request})
            before = sys.getrefcount(request)
            for _ in range(3):
                shop.took.record(1, None, inside)
            del inside
            assert sys.getrefcount(request) == before - 1

    def test_who_reads_an_aggregation_in_a_way_of_theirs_is_left_alone(self) -> None:
        shop = Shop()
        shop.orders.add(1, {"tenant": "north"})
        (storage,) = shop.provider._measurement_consumer._reader_storages.values()  # type: ignore[attr-defined]
        (match,) = storage._get_or_init_view_instrument_match(shop.orders)
        (aggregation,) = match._attributes_aggregation.values()
        theirs = aggregation.collect = type(aggregation).collect.__get__(aggregation)
        with fast():
            shop.orders.add(1, {"tenant": "north"})
            shop.orders.add(1, {"tenant": "north"})
            assert aggregation.collect is theirs
            assert shop.total() == 3


def _off(_: object) -> Any:
    from opentelemetry.sdk.metrics._internal import _MeterConfig

    return _MeterConfig(is_enabled=False)
