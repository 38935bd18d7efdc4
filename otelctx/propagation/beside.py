"""
Other propagators, with the request opened beside them.

Whoever names propagators of their own in ``OTEL_PROPAGATORS`` keeps exactly their wire format; requests work all the
same, since the remote fields are in OpenTelemetry's baggage.
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

from otelctx.propagation.jaeger_baggage import with_jaeger_baggage
from otelctx.propagation.outgoing import outgoing_context
from otelctx.propagation.passage import outbound, unwritable
from otelctx.propagation.receiving import received


class RequestOpening(TextMapPropagator):
    """Does what another propagator does, and opens a request on extract."""

    def __init__(self, inner: TextMapPropagator) -> None:
        """Leave the wire format to *inner*."""
        self.inner = inner
        self._readers = with_jaeger_baggage(inner)

    def extract(
        self,
        carrier: CarrierT,
        context: Context | None = None,
        getter: Getter[CarrierT] = default_getter,
    ) -> Context:
        """
        Return what *inner* extracts and the inbound policy believes, with a request in it.

        Headers of fields are read all the same.
        """
        return received(carrier, context, getter, self._readers, w3c=False)

    def inject(
        self,
        carrier: CarrierT,
        context: Context | None = None,
        setter: Setter[CarrierT] = default_setter,
    ) -> None:
        """Write what *inner* injects of the span, and of what may go where this goes."""
        try:
            decision, setter = outbound(setter)
            if decision.trace:
                self.inner.inject(carrier, outgoing_context(context, decision), setter)
        except Exception:  # noqa: BLE001 - a propagator and a carrier's setter are other people's code
            unwritable(carrier)

    @property
    def fields(self) -> set[str]:
        """The names of all headers that `inject` may set."""
        return self.inner.fields
