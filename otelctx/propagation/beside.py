"""
Other propagators, with the request opened beside them.

Whoever names propagators of their own in ``OTEL_PROPAGATORS`` keeps exactly their wire format; requests work all the
same, since the remote fields are in OpenTelemetry's baggage.
"""

from __future__ import annotations

from opentelemetry.baggage import get_all
from opentelemetry.context import Context
from opentelemetry.propagators.textmap import (
    CarrierT,
    Getter,
    Setter,
    TextMapPropagator,
    default_getter,
    default_setter,
)

from otelctx.core.layers import Layer
from otelctx.core.state import with_layer
from otelctx.propagation.edge import continued, opened_for
from otelctx.propagation.receiving import request_from


class RequestOpening(TextMapPropagator):
    """Does what another propagator does, and opens a request on extract."""

    def __init__(self, inner: TextMapPropagator) -> None:
        """Leave the wire format to *inner*."""
        self.inner = inner

    def extract(
        self,
        carrier: CarrierT,
        context: Context | None = None,
        getter: Getter[CarrierT] = default_getter,
    ) -> Context:
        """Return what *inner* extracts, with a request in it."""
        opened = opened_for(carrier)
        if opened is not None:
            return continued(opened)
        result = self.inner.extract(carrier, context, getter)
        members = {key: str(value) for key, value in get_all(result).items()}
        return with_layer(result, Layer(request_from(members, {})))

    def inject(
        self,
        carrier: CarrierT,
        context: Context | None = None,
        setter: Setter[CarrierT] = default_setter,
    ) -> None:
        """Write what *inner* injects."""
        self.inner.inject(carrier, context, setter)

    @property
    def fields(self) -> set[str]:
        """The names of all headers that `inject` may set."""
        return self.inner.fields
