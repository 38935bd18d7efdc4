"""
W3C Trace Context: as OpenTelemetry's propagator has it, with a short way for the headers of nearly all messages.

Whatever is not one plain ``traceparent`` of version 00, with one ``tracestate`` of usual length if any, is read by
OpenTelemetry's own code.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from opentelemetry.context import Context
from opentelemetry.propagators.textmap import CarrierT, Getter, Setter
from opentelemetry.trace import (
    DEFAULT_TRACE_STATE,
    INVALID_SPAN_CONTEXT,
    NonRecordingSpan,
    Span,
    SpanContext,
    TraceFlags,
    TraceState,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from otelctx.core.here import SPAN_KEY

TRACEPARENT: Final = "traceparent"
TRACESTATE: Final = "tracestate"

# Version 00 with ids that are not zero: https://www.w3.org/TR/trace-context/, section 3.2.2.
_PLAIN: Final = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})")
# What "vendors SHOULD propagate at least", section 3.3.1.5; how much more there may be, OpenTelemetry says.
_USUAL_STATE: Final = 512
_MOST_FLAGS: Final = 0xFF
_TEXTS_OF_FLAGS: Final = tuple(f"{flags:02x}" for flags in range(_MOST_FLAGS + 1))
FLAGS: Final = tuple(TraceFlags(flags) for flags in range(_MOST_FLAGS + 1))
_BY_TEXT: Final = dict(zip(_TEXTS_OF_FLAGS, FLAGS, strict=True))

_opentelemetrys: Final = TraceContextTextMapPropagator()


def remote_span(headers: Mapping[str, Sequence[str]], carrier: CarrierT, getter: Getter[CarrierT]) -> Span | None:
    """Return the span that *headers*, those of *carrier*, name; None where they name no valid one."""
    texts = headers.get(TRACEPARENT)
    if not texts:
        return None
    found = _PLAIN.fullmatch(texts[0])
    states = headers.get(TRACESTATE)
    if found is None or not (states is None or (len(states) == 1 and len(states[0]) <= _USUAL_STATE)):
        return _opentelemetrys.extract(carrier, Context(), getter).get(SPAN_KEY)  # type: ignore[return-value]
    trace_id, span_id, flags = found.groups()
    state = DEFAULT_TRACE_STATE if states is None else TraceState.from_header([*states])
    # Past the constructor, which asks whether the ids are valid: these are.
    remote = tuple.__new__(SpanContext, (int(trace_id, 16), int(span_id, 16), True, _BY_TEXT[flags], state, True))
    return NonRecordingSpan(remote)


def write_span(span: Span, carrier: CarrierT, setter: Setter[CarrierT]) -> None:
    """Write *span* into *carrier*, if it is a valid one."""
    own = span.get_span_context()
    if own == INVALID_SPAN_CONTEXT:
        return
    # A SpanContext is a tuple; its properties are calls.
    trace_id, span_id, _, flags, state, is_valid = own
    if is_valid and 0 <= flags <= _MOST_FLAGS:
        # As bytes: a number is formatted in three times the time.
        ids = f"{trace_id.to_bytes(16, 'big').hex()}-{span_id.to_bytes(8, 'big').hex()}"
        setter.set(carrier, TRACEPARENT, f"00-{ids}-{_TEXTS_OF_FLAGS[flags]}")
    else:
        setter.set(carrier, TRACEPARENT, f"00-{trace_id:032x}-{span_id:016x}-{flags:02x}")
    if state is not DEFAULT_TRACE_STATE and state:
        setter.set(carrier, TRACESTATE, state.to_header())
