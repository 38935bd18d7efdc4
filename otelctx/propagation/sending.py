"""
Sending: the span of one place, and what of its fields may go where a message goes, are written into its carrier.
"""

from __future__ import annotations

from collections.abc import Iterable

from opentelemetry.context import Context
from opentelemetry.propagators.textmap import CarrierT, Setter, TextMapPropagator

from otelctx.core.here import here, span_in
from otelctx.core.state import layer_here, layer_in
from otelctx.native import compiled
from otelctx.propagation.carriers import BAGGAGE
from otelctx.propagation.forms import form_of
from otelctx.propagation.outgoing import outgoing_context
from otelctx.propagation.overflow import tell_left_out
from otelctx.propagation.passage import outbound, unwritable
from otelctx.propagation.trace_context import write_span


@compiled
def sent(
    carrier: CarrierT, context: Context | None, setter: Setter[CarrierT], others: Iterable[TextMapPropagator]
) -> None:
    """
    Write what leaves from *context*, the current one unless given, into *carrier*; a setter of somebody's may raise.

    Args:
        others: propagators of other formats, which write before ours does.
    """
    decision, setter = outbound(setter)
    if not decision.trace:
        return
    if others:
        limited = outgoing_context(context, decision)
        for other in others:
            _inject(other, carrier, limited, setter)
    place = here() if context is None else context
    write_span(span_in(place), carrier, setter)
    layer = layer_here(place) if context is None else layer_in(place)
    if layer is not None:
        baggage, headers, left_out = form_of(layer, decision)
        if baggage:
            setter.set(carrier, BAGGAGE, baggage)
        for name, text in headers:
            setter.set(carrier, name, text)
        if left_out:
            tell_left_out(left_out, context)


def _inject(other: TextMapPropagator, carrier: CarrierT, context: Context | None, setter: Setter[CarrierT]) -> None:
    try:
        other.inject(carrier, context, setter)
    except Exception:  # noqa: BLE001 - what it cannot write, ours and the next may all the same
        unwritable(carrier)
