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

from otelctx.core.registry import registry
from otelctx.propagation.carriers import BAGGAGE
from otelctx.propagation.jaeger_baggage import with_jaeger_baggage
from otelctx.propagation.passage import unwritable
from otelctx.propagation.receiving import received
from otelctx.propagation.sending import sent
from otelctx.propagation.trace_context import TRACEPARENT, TRACESTATE


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
            sent(carrier, context, setter, self._others)
        except Exception:  # noqa: BLE001 - a carrier's setter is other people's code
            unwritable(carrier)

    @property
    def fields(self) -> set[str]:
        """The names of all headers that `inject` may set."""
        others = [name for other in self._others for name in other.fields]
        return {*others, TRACEPARENT, TRACESTATE, BAGGAGE, *registry().headers}
