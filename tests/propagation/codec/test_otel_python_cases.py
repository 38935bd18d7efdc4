"""
The test cases of OpenTelemetry Python's own propagators of baggage and trace context, by their names there.

Where ours differs on purpose, the test says what the specification wants; docs/wire.md lists all of these.
Sources: opentelemetry-api/tests/propagators/test_w3cbaggagepropagator.py and
opentelemetry-api/tests/trace/propagation/test_tracecontexthttptextformat.py, version 1.45
"""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry import baggage
from opentelemetry.context import Context
from opentelemetry.trace import (
    INVALID_SPAN,
    INVALID_SPAN_CONTEXT,
    NonRecordingSpan,
    SpanContext,
    get_current_span,
    set_span_in_context,
)

from otelctx.core.reports import counts
from otelctx.propagation.codec import decode, encode
from otelctx.propagation.peers import with_peer
from otelctx.propagation.propagator import OtelctxPropagator

TRACE_ID = int("12345678901234567890123456789012", 16)
SPAN_ID = int("1234567890123456", 16)
PARENT = f"00-{TRACE_ID:032x}-{SPAN_ID:016x}-00"


def extracted(*headers: str) -> dict[str, object]:
    context = OtelctxPropagator().extract({"baggage": list(headers)}, with_peer(Context(), "unix"))
    return {key: value for key, value in baggage.get_all(context).items() if key != "request_id"}


def injected(values: dict[str, Any]) -> str | None:
    context = Context()
    for key, value in values.items():
        context = baggage.set_baggage(key, value, context)
    carrier: dict[str, str] = {}
    OtelctxPropagator().inject(carrier, context)
    return carrier.get("baggage")


class TestBaggage:
    """Cases in which ours does the same."""

    @pytest.mark.parametrize(
        ("case", "header", "members"),
        [
            ("test_empty_context_header", "", {}),
            ("test_valid_header", "key1=val1,key2=val2", {"key1": "val1", "key2": "val2"}),
            (
                "test_valid_header_with_url_escaped_values",
                "key1=val1,key2=val2%3Aval3,key3=val4%40%23%24val5",
                {"key1": "val1", "key2": "val2:val3", "key3": "val4@#$val5"},
            ),
            ("test_header_with_invalid_value", "key1=val1,key2=val2,a,val3", {"key1": "val1", "key2": "val2"}),
            ("test_valid_header_with_empty_value", "key1=,key2=val2", {"key1": "", "key2": "val2"}),
            ("test_invalid_header", "header1", {}),
            ("test_invalid_header", " = ", {}),
            ("test_header_too_long", f"key1={'s' * 8193}", {}),
            ("test_extract_non_ascii_header", "key1=val1,key2=test\u00e9", {"key1": "val1"}),
            ("test_extract_non_ascii_header_exceeds_byte_limit", f"key1={chr(0xE9) * 8192}", {}),
            ("test_extract_unquote_plus", "keykey=value%5Evalue", {"keykey": "value^value"}),
        ],
    )
    def test_extract(self, case: str, header: str, members: dict[str, str]) -> None:
        assert extracted(header) == members, case

    def test_no_context_header(self) -> None:
        assert extracted() == {}

    def test_inject_no_baggage_entries(self) -> None:
        assert injected({}) is None

    def test_inject(self) -> None:
        assert injected({"key1": "val1", "key2": "val2"}) == "key1=val1,key2=val2"

    def test_inject_total_header_too_long(self) -> None:
        header = injected({f"k{number:03d}": "v" * 200 for number in range(50)})
        assert header is not None
        assert len(header) <= 8192

    def test_fields(self) -> None:
        assert OtelctxPropagator().fields == {"traceparent", "tracestate", "baggage", "x-request-id"}


class TestBaggageOtherwise:
    """Cases in which ours differs on purpose, each with the clause of W3C Baggage."""

    def test_invalid_header_with_space(self) -> None:
        """3.3.1: OWS is allowed around keys and values."""
        assert extracted("key1 =   val1,  key2 =val2   ") == {"key1": "val1", "key2": "val2"}

    def test_valid_header_with_properties(self) -> None:
        """3.3.1.4: properties are no part of the value."""
        members, properties = decode(["key1=val1,key2=val2;prop=1;prop2;prop3=2"])
        assert (members, properties) == ({"key1": "val1", "key2": "val2"}, {"key2": ";prop=1;prop2;prop3=2"})

    def test_header_contains_too_many_entries(self) -> None:
        """3.3.2: 64 members; OpenTelemetry takes 180, and other peers need not."""
        assert len(extracted(",".join(f"key{number}=val" for number in range(181)))) == 64
        assert counts() == {"baggage.too_many_members": 1}

    def test_header_contains_pair_too_long(self) -> None:
        """3.3.2: there is no limit on a single member."""
        header = f"key1=value1,key2={'s' * 4097},key3=value3"
        assert extracted(header) == {"key1": "value1", "key2": "s" * 4097, "key3": "value3"}

    def test_header_max_entries_skip_invalid_entry(self) -> None:
        """3.3.2: 64, and what is not valid does not count."""
        header = ",".join(f"key{number}=value" if number != 2 else "key2xvalue" for number in range(65))
        assert len(extracted(header)) == 64
        assert counts() == {"baggage.bad_member": 1}

    def test_extract_unquote_plus(self) -> None:
        """3.3.1.2: a key is a token, and has no encoding; 3.3.1.3: a plus in a value is a plus."""
        assert extracted("key%23key=value%23value,sum=1+1") == {"key%23key": "value#value", "sum": "1+1"}

    def test_inject_space_entries(self) -> None:
        """3.3.1.3, RFC 3986: percent-encoding has no plus."""
        assert injected({"key": "val ue"}) == "key=val%20ue"

    def test_inject_escaped_values(self) -> None:
        """3.3.1.3: the equal sign is an octet that need not be encoded."""
        assert injected({"key1": "val1,val2", "key2": "val3=4"}) == "key1=val1%2Cval2,key2=val3=4"

    def test_inject_non_string_values(self) -> None:
        """The values are text from the moment that they are set; None means that there is none."""
        assert injected({"key1": True, "key2": 123, "key3": 123.567, "key4": None}) == "key1=True,key2=123,key3=123.567"

    def test_encode_baggage_pairs(self) -> None:
        """3.3.1.2: a key that is no token cannot be sent; encoded it would be another key."""
        assert injected({"key key": "value value", "key/key": "v", "key": "value/value"}) == "key=value/value"
        assert counts() == {"baggage.bad_key": 2}

    def test_inject_too_many_entries(self) -> None:
        """3.3.2: 64 members, of which the last says how many are missing."""
        header = injected({f"key{number}": f"val{number}" for number in range(190)})
        assert header is not None
        assert header.split(",")[-1] == f"otelctx-dropped={190 - 63}"

    def test_inject_entry_too_long(self) -> None:
        """3.3.2: there is no limit on a single member."""
        assert injected({"key1": "val1", "big": "x" * 4096}) == f"key1=val1,big={'x' * 4096}"

    def test_inject_empty_after_all_dropped(self) -> None:
        """3.3.2 leaves it to us: what is missing is said."""
        assert injected({"big1": "x" * 8192, "big2": "x" * 8192}) == "otelctx-dropped=2"

    def test_inject_extract(self) -> None:
        """3.3.1.3: as for `test_inject_space_entries`."""
        assert encode({"transaction": "string with spaces"})[0] == "transaction=string%20with%20spaces"
        assert extracted("transaction=string%20with%20spaces") == {"transaction": "string with spaces"}


def span_of(traceparent: str, *tracestate: str) -> SpanContext:
    carrier = {"traceparent": [traceparent], "tracestate": list(tracestate)}
    return get_current_span(OtelctxPropagator().extract(carrier)).get_span_context()


class TestTraceContext:
    """The trace is OpenTelemetry's own propagator's; all its cases hold with ours around it."""

    def test_no_traceparent_header(self) -> None:
        assert isinstance(get_current_span(OtelctxPropagator().extract({})).get_span_context(), SpanContext)

    def test_headers_with_tracestate(self) -> None:
        span = span_of(PARENT, "foo=1,bar=2,baz=3")
        assert (span.trace_id, span.span_id, span.is_remote) == (TRACE_ID, SPAN_ID, True)
        assert dict(span.trace_state) == {"foo": "1", "bar": "2", "baz": "3"}
        output: dict[str, str] = {}
        OtelctxPropagator().inject(output, set_span_in_context(NonRecordingSpan(span)))
        assert output["traceparent"] == PARENT
        assert sorted(output["tracestate"].split(",")) == ["bar=2", "baz=3", "foo=1"]

    @pytest.mark.parametrize(
        ("case", "traceparent"),
        [
            ("test_invalid_trace_id", f"00-{'0' * 32}-1234567890123456-00"),
            ("test_invalid_parent_id", f"00-{'0' * 32}-{'0' * 16}-00"),
            ("test_format_not_supported", f"{PARENT}-residue"),
            ("test_extract_invalid_trace_parent_to_explicit_ctx", "invalid"),
            ("test_extract_invalid_trace_parent_to_explicit_ctx", f"00-{TRACE_ID:032x}-{'0' * 16}-00"),
        ],
    )
    def test_invalid(self, case: str, traceparent: str) -> None:
        assert span_of(traceparent, "foo=1,bar=2,foo=3") == INVALID_SPAN_CONTEXT, case
        context = OtelctxPropagator().extract({"traceparent": [traceparent]}, Context({"k1": "v1"}))
        assert context["k1"] == "v1"

    def test_no_send_empty_tracestate(self) -> None:
        output: dict[str, str] = {}
        span = NonRecordingSpan(SpanContext(TRACE_ID, SPAN_ID, is_remote=False))
        OtelctxPropagator().inject(output, set_span_in_context(span))
        assert set(output) == {"traceparent"}

    def test_propagate_invalid_context(self) -> None:
        output: dict[str, str] = {}
        OtelctxPropagator().inject(output, set_span_in_context(INVALID_SPAN))
        assert output == {}

    @pytest.mark.parametrize(
        ("case", "tracestate"),
        [("test_tracestate_empty_header", ["foo=1", ""]), ("test_tracestate_header_with_trailing_comma", ["foo=1,"])],
    )
    def test_tracestate_of_little(self, case: str, tracestate: list[str]) -> None:
        assert span_of(PARENT, *tracestate).trace_state["foo"] == "1", case

    def test_tracestate_keys(self) -> None:
        state = span_of(PARENT, "1a-2f@foo=bar1,1a-_*/2b@foo=bar2,foo=bar3,foo-_*/bar=bar4").trace_state
        assert dict(state) == {"1a-2f@foo": "bar1", "1a-_*/2b@foo": "bar2", "foo": "bar3", "foo-_*/bar": "bar4"}

    def test_extract_no_trace_parent(self) -> None:
        """To an explicit and an implicit context: tracestate alone means nothing. Ours adds the request."""
        for context in (None, Context({"k1": "v1"})):
            result = OtelctxPropagator().extract({"tracestate": ["foo=1"]}, context)
            assert get_current_span(result).get_span_context() == INVALID_SPAN_CONTEXT
            assert (context or {}).items() <= result.items()
