"""
Measuring: what counters and histograms of the SDK record, at a tenth of its cost and without a lock.

The SDK finds the series of a measurement by cleaning, copying, sorting and hashing its attributes each time. Here it is
found by their values (`otelctx.signals.series`), and the rest is an entry in a list (`otelctx.signals.aggregations`).
What is not of the usual kind, the SDK records by itself.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from time import time_ns
from types import ModuleType
from typing import Any, Final

from opentelemetry.context import Context
from opentelemetry.util.types import Attributes

from otelctx.boundaries.patches import Patch, Reversible
from otelctx.core.here import SPAN_KEY, here, span_in
from otelctx.signals.aggregations import Sample
from otelctx.signals.series import is_known, learn

Recording = Callable[..., None]

# The sum of as many of these as may wait is still a float, and not infinite.
_MOST: Final = 2.0**1000
_MOST_WAITING: Final = 64
_SAMPLED: Final = 0x01


def _sample(amount: float, context: Context) -> Sample | None:
    # A SpanContext is a tuple; its properties are calls.
    span = span_in(context).get_span_context()
    return (amount, time_ns(), span) if span[3] & _SAMPLED else None


def _recording(lowest: float, original: Recording) -> Recording:
    @functools.wraps(original)
    def record(self: Any, amount: float, attributes: Attributes = None, context: Context | None = None) -> None:
        given: Any = {} if attributes is None else attributes
        known: Any = None
        series: Any = None
        try:
            known = self._otelctx_known
            shape = known.shapes[len(given)]
            # Another mapping may make up what it does not have. No series of attributes has no values.
            values = shape.values_of(given) if type(given) is dict else ()
            found = shape.series[values]
            if (
                (type(amount) is float or type(amount) is int)
                and lowest <= amount <= _MOST
                and [type(value) for value in values] == found.types
                and known.readers is self._measurement_consumer._reader_storages  # noqa: SLF001 - see series.py
                and self._meter_config._config.is_enabled  # noqa: SLF001 - see series.py
            ):
                series = found
        except (AttributeError, KeyError, TypeError):
            series = None
        if series is None:
            original(self, amount, attributes, context)
            learn(self, given)
            return
        # An empty Context is none to the SDK.
        around = context or here()
        sample = _sample(amount, around) if known.has_exemplars and SPAN_KEY in around else None
        for aggregation in series.aggregations:
            amounts = aggregation.amounts
            amounts.append(amount)
            if sample is not None:
                aggregation.samples.append(sample)
            if len(amounts) >= _MOST_WAITING:
                aggregation.settle()

    return record


def patches(sdk: ModuleType) -> Iterable[Reversible]:
    """Return those of *sdk*, `opentelemetry.sdk.metrics`; none if it is of another make than those known here."""
    if is_known():
        yield from (
            Patch(kind, name, functools.partial(_recording, lowest))
            for kind, name, lowest in (
                (sdk.Counter, "add", 0.0),
                (sdk.UpDownCounter, "add", -_MOST),
                (sdk.Histogram, "record", 0.0),
            )
        )
