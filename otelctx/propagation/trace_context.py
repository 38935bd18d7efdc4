"""
W3C Trace Context: OpenTelemetry's propagator, with a short way for the headers that nearly all messages have.

Whatever is not one plain ``traceparent`` of version 00 is read by OpenTelemetry's own code.
"""

from __future__ import annotations

import re
from typing import Final

from opentelemetry.context import Context
from opentelemetry.propagators.textmap import CarrierT, Getter, Setter, default_getter, default_setter
from opentelemetry.trace import DEFAULT_TRACE_STATE, INVALID_SPAN_CONTEXT, NonRecordingSpan, SpanContext, TraceFlags
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from otelctx.core.here import here, span_in, with_span

TRACEPARENT: Final = "traceparent"
TRACESTATE: Final = "tracestate"

# Version 00 with ids that are not zero: https://www.w3.org/TR/trace-context/, section 3.2.2.
_PLAIN: Final = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})")
_FLAGS: Final = tuple(map(TraceFlags, range(256)))


class TraceContext(TraceContextTextMapPropagator):
    """W3C Trace Context, level 2."""

    def extract(
        self, carrier: CarrierT, context: Context | None = None, getter: Getter[CarrierT] = default_getter
    ) -> Context:
        """Return *context*, an empty one unless given, with the remote span of *carrier* if that is valid."""
        headers = getter.get(carrier, TRACEPARENT)
        if not headers:
            return Context() if context is None else context
        found = _PLAIN.fullmatch(headers[0])
        if found is None or getter.get(carrier, TRACESTATE) is not None:
            return super().extract(carrier, context, getter)
        trace_id, span_id, flags = found.groups()
        # Past the constructor, which asks whether the ids are valid: these are.
        remote = tuple.__new__(
            SpanContext, (int(trace_id, 16), int(span_id, 16), True, _FLAGS[int(flags, 16)], DEFAULT_TRACE_STATE, True)
        )
        return with_span(Context() if context is None else context, NonRecordingSpan(remote))

    def inject(
        self, carrier: CarrierT, context: Context | None = None, setter: Setter[CarrierT] = default_setter
    ) -> None:
        """Write the span of *context*, the current one unless given, into *carrier*."""
        own = span_in(here() if context is None else context).get_span_context()
        if own == INVALID_SPAN_CONTEXT:
            return
        # A SpanContext is a tuple; its properties are calls.
        trace_id, span_id, _, flags, state, _ = own
        setter.set(carrier, TRACEPARENT, f"00-{trace_id:032x}-{span_id:016x}-{flags:02x}")
        if state is not DEFAULT_TRACE_STATE and state:
            setter.set(carrier, TRACESTATE, state.to_header())
