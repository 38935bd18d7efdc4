"""Both encodings give the same rows, and no bytes at all raise anything but a refusal."""

from __future__ import annotations

import base64
import json
from contextlib import suppress

import pytest
from google.protobuf import json_format
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from otelctx.collector.refusal import MALFORMED, TOO_LARGE, RefusedError
from otelctx.collector.signals import LOGS, METRICS, TRACES
from otelctx.collector.wire import FREE_BYTES, check_messages

text = st.text(max_size=8)
value = st.recursive(
    st.one_of(
        st.builds(lambda v: {"stringValue": v}, text),
        st.builds(lambda v: {"intValue": str(v)}, st.integers(-(2**63), 2**63 - 1)),
        st.builds(lambda v: {"doubleValue": v}, st.floats(allow_nan=False, allow_infinity=False)),
        st.builds(lambda v: {"boolValue": v}, st.booleans()),
        st.builds(lambda v: {"bytesValue": base64.b64encode(v).decode()}, st.binary(max_size=5)),
    ),
    lambda inner: st.builds(lambda v: {"arrayValue": {"values": v}}, st.lists(inner, max_size=3)),
    max_leaves=5,
)
attributes = st.lists(st.fixed_dictionaries({"key": text, "value": value}), max_size=3)
spans = st.lists(
    st.fixed_dictionaries(
        {
            "traceId": st.binary(min_size=16, max_size=16).map(bytes.hex),
            "spanId": st.binary(min_size=8, max_size=8).map(bytes.hex),
            "name": text,
            "kind": st.integers(0, 5),
            "startTimeUnixNano": st.integers(0, 2**64 - 1).map(str),
            "attributes": attributes,
        }
    ),
    max_size=4,
)


@given(spans)
def test_json_and_protobuf_give_the_same_rows(spans):
    tree = {"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}
    based = json.loads(json.dumps(tree))
    for span in based["resourceSpans"][0]["scopeSpans"][0]["spans"]:
        for key in ("traceId", "spanId"):
            span[key] = base64.b64encode(bytes.fromhex(span[key])).decode()
    message = json_format.ParseDict(based, ExportTraceServiceRequest())
    from_json = TRACES.decode(json.dumps(tree).encode(), is_json=True, keep_payload=True)
    from_protobuf = TRACES.decode(message.SerializeToString(), is_json=False, keep_payload=True)
    assert from_json.groups == from_protobuf.groups
    assert from_json.facts == from_protobuf.facts
    assert ExportTraceServiceRequest.FromString(from_json.payload) == message


def refusal_of(signal, body, *, is_json):
    try:
        signal.decode(body, is_json=is_json, keep_payload=True)
    except RefusedError as error:
        return error.kind
    return None


@given(st.binary(max_size=400), st.sampled_from([TRACES, LOGS, METRICS]), st.booleans())
@settings(max_examples=300)
def test_any_bytes_are_a_batch_or_a_refusal(body, signal, is_json):
    assert refusal_of(signal, body, is_json=is_json) in {None, MALFORMED}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["resourceSpans", "scopeSpans", "spans", "traceId", "spanId", "attributes", "value", "x"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(["resourceSpans", "resource_spans"]), json_values))
@settings(max_examples=300)
def test_any_json_is_a_batch_or_a_refusal(tree):
    assert refusal_of(TRACES, json.dumps(tree).encode(), is_json=True) in {None, MALFORMED}


@given(st.binary(max_size=200))
def test_counting_messages_ends_for_any_bytes(tail):
    with suppress(RefusedError):
        check_messages(bytes(FREE_BYTES + 1) + tail, TRACES.layout)


def test_messages_are_counted_at_every_depth():
    request = ExportTraceServiceRequest()
    span = request.resource_spans.add().scope_spans.add().spans.add()
    for _ in range(100):
        span.attributes.add(key="k").value.string_value = "v" * 1_000
    body = request.SerializeToString()
    # the request, one resource, scope and span, and for each attribute itself and its value
    check_messages(body, TRACES.layout, limit=204)
    with pytest.raises(RefusedError) as refused:
        check_messages(body, TRACES.layout, limit=203)
    assert refused.value.kind == TOO_LARGE
