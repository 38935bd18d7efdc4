"""Trace Context by the short way is what OpenTelemetry's own propagator reads and writes."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st
from opentelemetry.context import Context
from opentelemetry.propagators.textmap import default_getter, default_setter
from opentelemetry.trace import (
    INVALID_SPAN,
    NonRecordingSpan,
    SpanContext,
    TraceFlags,
    TraceState,
    get_current_span,
    set_span_in_context,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from otelctx.propagation.trace_context import remote_span, write_span

THEIRS = TraceContextTextMapPropagator()

digits = st.text("0123456789abcdef", min_size=32, max_size=32)
traceparents = st.one_of(
    st.builds(
        "{}-{}-{}-{}".format,
        st.sampled_from(["00", "00", "01", "ff", "0"]),
        digits,
        digits.map(lambda t: t[:16]),
        digits.map(lambda t: t[:2]),
    ),
    st.from_regex(r"[ \t]*00-[0-9a-fA-F]{31,33}-[0-9a-f]{15,17}-[0-9a-f]{1,3}(-.*)?[ \t]*", fullmatch=True),
    st.text(max_size=60),
)
STATES = st.sampled_from(
    ["a=1", "b=2,c=3", "", "not a member", f"a={'1' * 200},b={'2' * 200},c={'3' * 200}", "," * 600]
)
ZERO = f"00-{'0' * 32}-{'1' * 16}-01"


@given(st.lists(traceparents, max_size=2), st.lists(STATES, max_size=2))
@example([ZERO], [])
@example([f"00-{'1' * 32}-{'0' * 16}-01"], [])
@example([f"00-{'1' * 32}-{'2' * 16}-01\n"], [])
@example([f"00-{'1' * 32}-{'2' * 16}-ff"], ["a=1"])
def test_what_is_read_is_what_opentelemetry_reads(parents: list[str], states: list[str]) -> None:
    carrier = {key: texts for key, texts in (("traceparent", parents), ("tracestate", states)) if texts}

    ours = remote_span(carrier, carrier, default_getter)
    theirs = THEIRS.extract(carrier, Context())

    assert (ours is None) == (not theirs)
    read, expected = ((ours or INVALID_SPAN).get_span_context(), get_current_span(theirs).get_span_context())
    assert (read, type(read), type(read.trace_flags)) == (expected, type(expected), type(expected.trace_flags))
    assert read.is_valid == expected.is_valid
    assert read.is_remote == expected.is_remote


spans = st.builds(
    lambda trace, span, flags, state: NonRecordingSpan(
        SpanContext(trace, span, is_remote=False, trace_flags=TraceFlags(flags), trace_state=state)
    ),
    st.integers(0, 2**128 - 1),
    st.integers(0, 2**64 - 1),
    st.integers(0, 255),
    st.sampled_from([None, TraceState(), TraceState([("a", "1"), ("b", "2")])]),
)


@given(spans | st.just(INVALID_SPAN))
def test_what_is_written_is_what_opentelemetry_writes(span: NonRecordingSpan) -> None:
    context = set_span_in_context(span, Context())
    ours: dict[str, str] = {}
    theirs: dict[str, str] = {}

    write_span(span, ours, default_setter)
    THEIRS.inject(theirs, context)

    assert ours == theirs
