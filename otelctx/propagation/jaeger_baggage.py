"""
The header ``jaeger-baggage``, which Jaeger has for baggage of requests that are made by hand: ``k1=v1, k2=v2``.

OpenTelemetry's propagator for Jaeger reads ``uberctx-…`` headers only, so this stands beside it. It is read by the
rules and within the limits of W3C Baggage, of which its form is a part, and never written.
Source: https://www.jaegertracing.io/docs/1.21/client-libraries/#propagation-format
"""

from __future__ import annotations

from typing import Final

from opentelemetry.baggage import set_baggage
from opentelemetry.context import Context
from opentelemetry.propagators.textmap import (
    CarrierT,
    Getter,
    Setter,
    TextMapPropagator,
    default_getter,
    default_setter,
)

from otelctx.propagation import codec

_HEADER: Final = "jaeger-baggage"
_TRACE_ID: Final = "uber-trace-id"


class JaegerBaggagePropagator(TextMapPropagator):
    """Reads the header into OpenTelemetry's baggage."""

    def extract(
        self, carrier: CarrierT, context: Context | None = None, getter: Getter[CarrierT] = default_getter
    ) -> Context:
        """Return *context*, an empty one unless given, with the members of the header."""
        result = Context() if context is None else context
        members, _ = codec.decode(getter.get(carrier, _HEADER) or ())
        for key, text in members.items():
            result = set_baggage(key, text, result)
        return result

    def inject(
        self, carrier: CarrierT, context: Context | None = None, setter: Setter[CarrierT] = default_setter
    ) -> None:
        """Write nothing: baggage leaves as ``uberctx-…``."""

    @property
    def fields(self) -> set[str]:
        """No header: `inject` sets none."""
        return set()


def with_jaeger_baggage(*propagators: TextMapPropagator) -> tuple[TextMapPropagator, ...]:
    """Return *propagators*, and one of ``jaeger-baggage`` in front of them if Jaeger's is among them."""
    has_jaegers = any(_TRACE_ID in propagator.fields for propagator in propagators)
    return (JaegerBaggagePropagator(), *propagators) if has_jaegers else propagators
