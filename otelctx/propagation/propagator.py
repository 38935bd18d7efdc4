"""
The propagator: the one edge of a process.

Every server and consumer instrumentation calls `extract`, every client and producer calls `inject`. So a request
begins here, before the sampler and the server span, and what leaves the process leaves here. Neither call raises.
"""

from __future__ import annotations

from opentelemetry.context import Context
from opentelemetry.propagators.textmap import (
    CarrierT,
    Getter,
    Setter,
    TextMapPropagator,
    default_getter,
    default_setter,
)

from otelctx.core.here import here, span_in
from otelctx.core.registry import registry
from otelctx.core.state import layer_here, layer_in
from otelctx.propagation.carriers import BAGGAGE
from otelctx.propagation.forms import form_of
from otelctx.propagation.jaeger_baggage import with_jaeger_baggage
from otelctx.propagation.outgoing import outgoing_context
from otelctx.propagation.overflow import tell_left_out
from otelctx.propagation.passage import outbound, unwritable
from otelctx.propagation.receiving import received
from otelctx.propagation.trace_context import TRACEPARENT, TRACESTATE, write_span


class OtelctxPropagator(TextMapPropagator):
    """
    W3C Trace Context, W3C Baggage and the headers of fields.

    Sources: https://www.w3.org/TR/trace-context/, https://www.w3.org/TR/baggage/ and OpenTelemetry's
    https://opentelemetry.io/docs/specs/otel/context/api-propagators/

    Args:
        others: propagators of other formats. What they read passes the same policy; of two traces ours counts.
    """

    def __init__(self, *others: TextMapPropagator) -> None:
        """Make a propagator; it holds no state."""
        self._others = with_jaeger_baggage(*others)

    def extract(
        self,
        carrier: CarrierT,
        context: Context | None = None,
        getter: Getter[CarrierT] = default_getter,
    ) -> Context:
        """
        Return *context*, an empty one unless given, with the remote span and a new request in it.

        Both hold what the inbound policy believes of whom *carrier* came from.
        A carrier for which the edge of the server has opened a request already continues that one, in the Context
        that is current.
        """
        return received(carrier, context, getter, self._others, w3c=True)

    def inject(
        self,
        carrier: CarrierT,
        context: Context | None = None,
        setter: Setter[CarrierT] = default_setter,
    ) -> None:
        """
        Write the span of *context*, the current one unless given, and what of its fields may go where this goes.

        Where that is, the passage says that is open here; by default nothing but the span goes to nowhere known.
        """
        try:
            decision, setter = outbound(setter)
            if not decision.trace:
                return
            if self._others:
                limited = outgoing_context(context, decision)
                for other in self._others:
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
        except Exception:  # noqa: BLE001 - a carrier's setter is other people's code
            unwritable(carrier)

    @property
    def fields(self) -> set[str]:
        """The names of all headers that `inject` may set."""
        others = [name for other in self._others for name in other.fields]
        return {*others, TRACEPARENT, TRACESTATE, BAGGAGE, *registry().headers}


def _inject(other: TextMapPropagator, carrier: CarrierT, context: Context | None, setter: Setter[CarrierT]) -> None:
    try:
        other.inject(carrier, context, setter)
    except Exception:  # noqa: BLE001 - what it cannot write, ours and the next may all the same
        unwritable(carrier)
