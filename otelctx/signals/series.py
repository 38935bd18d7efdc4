"""
Series: where measurements of an instrument are aggregated, found by the values of their attributes.

It is the SDK that makes a series, with its own views, limits and readers; here it is known from then on. Only what is
of the usual kind is: attributes of text, whole numbers and truth values, all of which the views keep, and exemplars as
the SDK takes them by default, or none.

Used of the SDK's classes, in opentelemetry-sdk 1.45: the names that are listed in docs/private-names.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import itemgetter
from typing import Any, Final

from opentelemetry.sdk.metrics import (
    AlwaysOffExemplarFilter,
    Counter,
    Histogram,
    MeterProvider,
    TraceBasedExemplarFilter,
)
from opentelemetry.sdk.metrics._internal._view_instrument_match import _hash_attributes, _ViewInstrumentMatch
from opentelemetry.sdk.metrics._internal.measurement_consumer import SynchronousMeasurementConsumer
from opentelemetry.sdk.metrics.export import AggregationTemporality, InMemoryMetricReader
from opentelemetry.sdk.resources import Resource

from otelctx.signals.aggregations import Late, late

_PLAIN: Final = frozenset({str, int, bool})
# Whether the filter takes what is recorded in a sampled span; others may take anything.
_EXEMPLARS: Final[dict[type, bool]] = {TraceBasedExemplarFilter: True, AlwaysOffExemplarFilter: False}
# Of one instrument. Past them it forgets, and the SDK finds them once more.
_MOST: Final = 1000


class Series:
    """
    What is aggregated under one set of attributes.

    Attributes:
        types: of the values; 1 and True are one key of a dict, but two series.
        aggregations: one for each reader and view.
    """

    __slots__ = ("aggregations", "types")

    def __init__(self, types: list[type], aggregations: tuple[Late, ...]) -> None:
        """Keep both."""
        self.types = types
        self.aggregations = aggregations


class Shape:
    """
    The series whose attributes have the same names.

    Attributes:
        names: of the attributes.
        values_of: returns the values of some attributes, in the order of the names.
        series: by their values.
    """

    __slots__ = ("names", "series", "values_of")

    def __init__(self, names: frozenset[str]) -> None:
        """Have no series."""
        # Of one name alone an itemgetter would return no tuple.
        ordered = (*names, *names) if len(names) == 1 else tuple(names)
        self.names = names
        self.values_of: Callable[[Mapping[str, Any]], tuple[Any, ...]] = (
            itemgetter(*ordered) if ordered else lambda attributes: tuple(attributes.values())
        )
        self.series: dict[tuple[Any, ...], Series] = {}


class Known:
    """
    What is known of one instrument, for as long as it has the same readers.

    Attributes:
        readers: the SDK's, with what each of them keeps.
        has_exemplars: whether measurements in a sampled span are to be offered as exemplars; None where the SDK has
            to be asked, or something else about the instrument is not usual. It has no series then.
        shapes: by the number of attributes; of two sets of names of one number, the first.
    """

    __slots__ = ("_matches", "has_exemplars", "readers", "shapes")

    def __init__(self, instrument: Any) -> None:
        """
        Look at *instrument*, of the SDK's usual consumer.

        Raises:
            KeyError: it has recorded nothing yet.
        """
        consumer = instrument._measurement_consumer  # noqa: SLF001 - see the module's docstring
        self.readers: Mapping[Any, Any] = consumer._reader_storages  # noqa: SLF001 - the same
        self.has_exemplars = _EXEMPLARS.get(type(consumer._sdk_config.exemplar_filter))  # noqa: SLF001 - the same
        self.shapes: dict[int, Shape] = {}
        self._matches: list[Any] = []
        for storage in self.readers.values():
            self._matches += storage._instrument_view_instrument_matches[instrument]  # noqa: SLF001 - the same
        for match in self._matches:
            if type(match) is not _ViewInstrumentMatch or match._view._attribute_keys is not None:  # noqa: SLF001 - the same
                self.has_exemplars = None

    def learn(self, attributes: dict[str, Any]) -> None:
        """Find the series of *attributes* at the SDK, if it has one of the usual kind."""
        names = frozenset(attributes)
        if not _PLAIN.issuperset(map(type, attributes.values())) or "" in names or {*map(type, names)} - {str}:
            return
        if sum(len(shape.series) for shape in tuple(self.shapes.values())) >= _MOST:
            self.shapes = {}
        shape = self.shapes.setdefault(len(names), Shape(names))
        if shape.names != names:
            return
        key = _hash_attributes(attributes)
        found = [late(match._attributes_aggregation.get(key)) for match in self._matches]  # noqa: SLF001 - see above
        aggregations = tuple(aggregation for aggregation in found if aggregation is not None)
        if len(aggregations) == len(found):
            values = shape.values_of(attributes)
            shape.series[values] = Series([*map(type, values)], aggregations)


def learn(instrument: Any, attributes: object) -> None:
    """Find out where *instrument*, a counter or histogram of the SDK, has recorded something with *attributes*."""
    consumer = instrument._measurement_consumer  # noqa: SLF001 - see the module's docstring
    if type(consumer) is not SynchronousMeasurementConsumer:
        return
    known: Known | None = vars(instrument).get("_otelctx_known")
    if known is None or known.readers is not consumer._reader_storages:  # noqa: SLF001 - the same
        try:
            known = vars(instrument)["_otelctx_known"] = Known(instrument)
        except KeyError:
            return
    if known.has_exemplars is not None and type(attributes) is dict:
        known.learn(attributes)


def is_known() -> bool:
    """Tell whether this SDK is made as those that the code here was checked with: whether it reads what is added."""
    try:
        deltas: dict[type, Any] = dict.fromkeys((Counter, Histogram), AggregationTemporality.DELTA)
        reader = InMemoryMetricReader(deltas)
        # Of no resource, since finding out about this process takes longer than all of the rest.
        resource, no_exemplars = Resource.get_empty(), AlwaysOffExemplarFilter()
        provider = MeterProvider([reader], resource, exemplar_filter=no_exemplars, shutdown_on_exit=False)
        meter = provider.get_meter(__name__)
        counter, histogram = meter.create_counter("counter"), meter.create_histogram("histogram")
        counter.add(1, {"name": 1})
        histogram.record(1, {"name": 1})
        aggregations: list[Late] = []
        for instrument in (counter, histogram):
            learn(instrument, {"name": 1})
            known: Known = vars(instrument)["_otelctx_known"]
            aggregations += known.shapes[1].series[1, 1].aggregations
        read = []
        # Twice, since a series is to stay the same from one collection to the next.
        for amount in (2, 4):
            for aggregation in aggregations:
                aggregation.amounts.append(amount)
            read += _read(reader)
        return len(aggregations) == 2 and read == [3, (2, 3), 4, (1, 4)]
    except Exception:  # noqa: BLE001 - another SDK may fail here in any way; then it records by itself
        return False


def _read(reader: InMemoryMetricReader) -> list[Any]:
    data: Any = reader.get_metrics_data()
    scopes = [scope for resource in data.resource_metrics for scope in resource.scope_metrics]
    points = [
        metric.data.data_points[0] for scope in scopes if scope.scope.name == __name__ for metric in scope.metrics
    ]
    return [(point.count, point.sum) if hasattr(point, "sum") else point.value for point in points]
