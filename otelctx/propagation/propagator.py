"""
The propagator: the one edge of a process.

Every server and consumer instrumentation calls `extract`, every client and producer calls `inject`. So a request
begins here, before the sampler and the server span, and what leaves the process leaves here. Neither call raises.
"""

from __future__ import annotations

import re
from typing import Final

from opentelemetry.baggage import get_all
from opentelemetry.context import Context, get_current
from opentelemetry.propagators.textmap import (
    CarrierT,
    Getter,
    Setter,
    TextMapPropagator,
    default_getter,
    default_setter,
)
from opentelemetry.trace import get_current_span, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from otelctx.core.fields import Field, FieldValue, wire_text
from otelctx.core.layers import ABSENT, Layer
from otelctx.core.registry import registry
from otelctx.core.reports import report
from otelctx.core.request import Request
from otelctx.core.state import current_layer, with_layer
from otelctx.propagation import codec
from otelctx.propagation.edge import opened_for

_BAGGAGE: Final = "baggage"
_VISIBLE: Final = re.compile(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?")


class OtelctxPropagator(TextMapPropagator):
    """
    W3C Trace Context, W3C Baggage and the headers of fields.

    Sources: https://www.w3.org/TR/trace-context/, https://www.w3.org/TR/baggage/ and OpenTelemetry's
    https://opentelemetry.io/docs/specs/otel/context/api-propagators/
    """

    def __init__(self) -> None:
        """Make a propagator; it holds no state."""
        self._trace_context = TraceContextTextMapPropagator()

    def extract(
        self,
        carrier: CarrierT,
        context: Context | None = None,
        getter: Getter[CarrierT] = default_getter,  # type: ignore[assignment]
    ) -> Context:
        """
        Return *context*, an empty one unless given, with the remote span and a new request in it.

        A carrier for which the edge of the server has opened a request already continues that one, in the Context
        that is current.
        """
        try:
            opened = opened_for(carrier)
            if opened is not None:
                return set_span_in_context(get_current_span(opened), get_current())
            result = self._trace_context.extract(carrier, Context() if context is None else context, getter)
            return with_layer(result, Layer(_received(carrier, result, getter)))
        except Exception:  # noqa: BLE001 - a carrier's getter is other people's code
            report("extract.failed", "A carrier of type %s could not be read", type(carrier).__name__)
            return with_layer(Context() if context is None else context, Layer(Request()))

    def inject(
        self,
        carrier: CarrierT,
        context: Context | None = None,
        setter: Setter[CarrierT] = default_setter,  # type: ignore[assignment]
    ) -> None:
        """Write the span, the remote fields and the field headers of *context*, the current one unless given."""
        self._trace_context.inject(carrier, context, setter)
        layer = current_layer(context)
        if layer is None:
            return
        header = codec.encode(layer.wire())
        if header:
            setter.set(carrier, _BAGGAGE, header)
        for name, field in registry().headers.items():
            value = layer.find(field.name)
            if value is None or value is ABSENT:
                continue
            text = wire_text(value)
            # A header has no encoding of its own; what would need one travels in baggage alone.
            if _VISIBLE.fullmatch(text):
                setter.set(carrier, name, text)

    @property
    def fields(self) -> set[str]:
        """The names of all headers that `inject` may set."""
        return {*self._trace_context.fields, _BAGGAGE, *registry().headers}


def _received(carrier: CarrierT, context: Context, getter: Getter[CarrierT]) -> Request:
    """Return the request that *carrier* continues, or a new one."""
    declared = registry()
    # Another propagator may have read baggage of another form before us.
    members = {key: str(value) for key, value in get_all(context).items()}
    members.update(codec.decode(getter.get(carrier, _BAGGAGE) or ()))
    values: dict[str, object] = {}
    carried: dict[str, str] = {}
    for key, text in members.items():
        field = declared.by_key.get(key)
        if field is None:
            carried[key] = text
        else:
            _keep(values, field, text)
    for header, field in declared.headers.items():
        found = getter.get(carrier, header)
        if not found:
            continue
        # Several headers of one name are nobody's clear word.
        _keep(values, field, found[0].strip() if len(found) == 1 else None)
    return Request(values, carried)


def _keep(values: dict[str, object], field: Field, text: str | None) -> None:
    value: FieldValue | None = None if text is None else field.accept(text)
    if value is not None and value != "":
        values[field.name] = value
