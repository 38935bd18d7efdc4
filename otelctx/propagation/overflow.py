"""
Overflow: what spans say of baggage that did not fit the limits of the wire.

Who reads a trace sees it where it happened, on the span of the call, and where it is missed, on the span of the server.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from opentelemetry.context import Context
from opentelemetry.trace import get_current_span

from otelctx.core.registry import registry
from otelctx.propagation.codec import DROPPED, dropped_count

LEFT_OUT: Final = "otelctx.baggage.left_out"
LEFT_OUT_FIELDS: Final = "otelctx.baggage.left_out_fields"
DROPPED_BEFORE: Final = "otelctx.baggage.dropped"


def tell_left_out(keys: Sequence[str], context: Context | None = None) -> None:
    """
    Write to the span of *context*, the current one unless given, that the members *keys* were not sent.

    Undeclared ones are counted, and not named: their keys may have come from anyone.
    """
    span = get_current_span(context)
    if span.is_recording():
        by_key = registry().by_key
        names = sorted(by_key[key].name for key in keys if key in by_key)
        span.set_attributes({LEFT_OUT: len(keys), LEFT_OUT_FIELDS: names})


def dropped_before(carried: Mapping[str, str]) -> dict[str, int]:
    """Return the attribute of a server span for what did not reach it, by the marker among its *carried* members."""
    count = dropped_count(carried.get(DROPPED))
    return {DROPPED_BEFORE: count} if count else {}
