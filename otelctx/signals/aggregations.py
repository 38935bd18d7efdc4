"""
Aggregations that add up late: to one of the SDK's, a measurement is first an entry in a list.

Nothing is seen of that: whoever reads the aggregation, or has it aggregate a measurement in the SDK's own way, has all
added up before. A list is short, so neither what waits nor the time to add it up grows.

Used of the SDK's classes, in opentelemetry-sdk 1.45: the names that are listed in docs/private-names.md.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import bisect_left
from collections.abc import Iterable
from functools import reduce
from operator import add
from typing import Any, Final, TypeAlias

from opentelemetry.context import Context
from opentelemetry.sdk.metrics import AlignedHistogramBucketExemplarReservoir, SimpleFixedSizeExemplarReservoir
from opentelemetry.sdk.metrics._internal.aggregation import _ExplicitBucketHistogramAggregation, _SumAggregation
from opentelemetry.trace import NonRecordingSpan, SpanContext, set_span_in_context

# What may become an exemplar: how much, when, and in which span.
Sample: TypeAlias = tuple[float, int, SpanContext]


class Late(ABC):
    """
    What waits for one aggregation.

    Attributes:
        amounts: recorded and not added up yet; to append to.
        samples: those of them that may become exemplars.
    """

    __slots__ = ("_aggregation", "amounts", "samples")

    def __init__(self, aggregation: Any) -> None:
        """Stand before *aggregation*, one of the SDK's."""
        self._aggregation = aggregation
        self.amounts: list[float] = []
        self.samples: list[Sample] = []

    def settle(self) -> None:
        """Add up what waits."""
        aggregation = self._aggregation
        with aggregation._lock:  # noqa: SLF001 - see the module's docstring
            # What is taken is at the front; others may append meanwhile.
            amounts, samples = self.amounts[:], self.samples[:]
            del self.amounts[: len(amounts)], self.samples[: len(samples)]
            if amounts:
                self.add(aggregation, amounts)
            for amount, time, span in self.kept(aggregation, samples):
                # The Context it was recorded in would keep a request alive; of it, the span alone is shown.
                context = set_span_in_context(NonRecordingSpan(span), Context())
                aggregation._reservoir.offer(amount, time, aggregation._attributes, context)  # noqa: SLF001 - the same

    def collect(self, *args: Any, **kwargs: Any) -> Any:
        """Return the point, as the SDK makes it."""
        self.settle()
        return type(self._aggregation).collect(self._aggregation, *args, **kwargs)

    def aggregate(self, *args: Any, **kwargs: Any) -> None:
        """Aggregate a measurement, as the SDK does."""
        self.settle()
        type(self._aggregation).aggregate(self._aggregation, *args, **kwargs)

    @abstractmethod
    def add(self, aggregation: Any, amounts: list[float]) -> None:
        """Add *amounts*, of which there are some, one after the other: `sum` of Python 3.12 rounds in another way."""

    def kept(self, aggregation: Any, samples: list[Sample]) -> Iterable[Sample]:  # noqa: ARG002 - for those that drop
        """Return those of *samples* that the reservoir would not replace by later ones at once."""
        return samples


def _sum(so_far: float, amounts: list[float]) -> float:
    try:
        return reduce(add, amounts, so_far)
    except OverflowError:
        # An integer that no float can hold was recorded before, and floats cannot be added to that. The SDK says so to
        # whoever records one; nobody is here who could be told, and the sum stays.
        return so_far


class LateSum(Late):
    """What waits for a sum."""

    __slots__ = ()

    def add(self, aggregation: Any, amounts: list[float]) -> None:
        """Add to the sum."""
        so_far = aggregation._value  # noqa: SLF001 - see the module's docstring
        aggregation._value = _sum(0 if so_far is None else so_far, amounts)  # noqa: SLF001 - the same


class LateHistogram(Late):
    """What waits for the buckets of a histogram."""

    __slots__ = ()

    def add(self, aggregation: Any, amounts: list[float]) -> None:
        """Count each in its bucket."""
        bounds: tuple[float, ...] = aggregation._boundaries  # noqa: SLF001 - see the module's docstring
        counts: list[int] | None = aggregation._value  # noqa: SLF001 - the same
        if counts is None:
            counts = aggregation._value = [0] * (len(bounds) + 1)  # noqa: SLF001 - the same
        for amount in amounts:
            counts[bisect_left(bounds, amount)] += 1
        aggregation._sum = _sum(aggregation._sum, amounts)  # noqa: SLF001 - the same
        if aggregation._record_min_max:  # noqa: SLF001 - the same
            aggregation._min = min(aggregation._min, *amounts)  # noqa: SLF001 - the same
            aggregation._max = max(aggregation._max, *amounts)  # noqa: SLF001 - the same

    def kept(self, aggregation: Any, samples: list[Sample]) -> Iterable[Sample]:
        """Return the last one of each bucket."""
        bounds = aggregation._boundaries  # noqa: SLF001 - see the module's docstring
        return {bisect_left(bounds, sample[0]): sample for sample in samples}.values()


_KINDS: Final[dict[tuple[type, type], type[Late]]] = {
    (_SumAggregation, SimpleFixedSizeExemplarReservoir): LateSum,
    (_ExplicitBucketHistogramAggregation, AlignedHistogramBucketExemplarReservoir): LateHistogram,
}


def late(aggregation: Any) -> Late | None:
    """Return what stands before *aggregation*, from now on; None if that is of a class that is not known here."""
    kind = _KINDS.get((type(aggregation), type(getattr(aggregation, "_reservoir", None))))
    if kind is None:
        return None
    inside = vars(aggregation)
    # Atomic: two threads may find the same series at once.
    collect = inside.setdefault("collect", kind(aggregation).collect)
    before = getattr(collect, "__self__", None)
    if not isinstance(before, Late):  # somebody else reads it in a way of theirs
        return None
    inside["aggregate"] = before.aggregate
    return before
