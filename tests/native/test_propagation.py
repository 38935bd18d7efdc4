"""
A message is read and written in the same way by compiled twins and by the Python source.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from opentelemetry import baggage
from opentelemetry.context import Context
from opentelemetry.propagators.textmap import Setter, default_getter, default_setter
from opentelemetry.trace import (
    INVALID_SPAN,
    NonRecordingSpan,
    SpanContext,
    TraceFlags,
    TraceState,
    get_current_span,
    set_span_in_context,
)

from otelctx import Field, declare
from otelctx.core import reports
from otelctx.core.layers import Layer
from otelctx.core.request import Request, accepted
from otelctx.core.state import layer_in, with_layer
from otelctx.integrations.asgi.headers import Headers
from otelctx.propagation import egress, ingress
from otelctx.propagation.egress import ALL, NOTHING, Decision
from otelctx.propagation.ingress import Ingress, Mode, Rule, Trust
from otelctx.propagation.passage import Passage, into_passage
from otelctx.propagation.peers import Peers, with_peer
from otelctx.propagation.receiving import received
from otelctx.propagation.sending import sent
from tests.in_python import in_python, is_compiled

pytestmark = pytest.mark.skipif(not is_compiled(), reason="nothing is compiled here")

TRACE = "0af7651916cd43dd8448eb211c80319c"
TRACEPARENT = f"00-{TRACE}-b7ad6b7169203331-01"
HEX = st.text("0123456789abcdefABCDEFg", min_size=31, max_size=33)
TRACEPARENTS = st.one_of(
    st.sampled_from(
        [
            TRACEPARENT,
            f"{TRACEPARENT}\n",
            f"00-{'0' * 32}-b7ad6b7169203331-01",
            f"00-{TRACE}-{'0' * 16}-01",
            f"01-{TRACE}-b7ad6b7169203331-01-more",
            f"00-{TRACE}-b7ad6b7169203331-ff",
            f"00-{TRACE[:-1]}é-b7ad6b7169203331-01",
            "",
        ]
    ),
    st.builds(lambda one, flags: f"00-{one[:32]}-{one[:16]}-{flags:02x}", HEX, st.integers(0, 255)),
)
KEY = st.sampled_from(["user_id", "request_id", "tenant", "attempt", "blend", "x.y", "k\u00e9y", "a b", ""])
VALUE = st.one_of(
    st.sampled_from(
        ["alice", "r-1", "5", "05", "a=b", "x" * 300, "Am%C3%A9lie", "%", 'q"', "\u2028", "a\\b", "", "/?:@"]
    ),
    st.text(max_size=5),
)
MEMBER = st.builds(
    lambda key, value, more: f"{key}={value}{more}", KEY, VALUE, st.sampled_from(["", "", "", ";p=1", " "])
)
BAGGAGE = st.one_of(
    st.lists(MEMBER, max_size=5).map(",".join),
    st.text("ab=,;% \té", max_size=30),
    st.integers(60, 70).map(lambda count: ",".join(f"k{number}=v" for number in range(count))),
    st.integers(8180, 8200).map(lambda length: "k=" + "v" * length),
)
MESSAGES = st.fixed_dictionaries(
    {},
    optional={
        "traceparent": TRACEPARENTS,
        "tracestate": st.sampled_from(["a=1", "", "not a member"]),
        "baggage": BAGGAGE,
        "x-request-id": st.sampled_from(["r-1", " r-1\t", "not valid", "", "r" * 129, "é"]),
        "x-tenant": st.sampled_from(["acme", "other", "é", ""]),
        "x-forwarded-for": st.sampled_from(["203.0.113.5", "10.0.0.1"]),
    },
)
TRUSTS = [
    Trust(),
    Trust(fields=frozenset({"request_id"})),
    Trust(fields=frozenset({"user_id", "tenant-key", "blend"})),
    Trust(trace=Mode.RESTART),
    Trust(baggage=Mode.IGNORE),
]


@pytest.fixture(autouse=True)
def _declared() -> None:
    declare(
        Field("tenant", remote=True, key="tenant-key", header="x-tenant", max_length=8),
        Field("attempt", type=int, remote=True),
        Field("local"),
    )


def _seen(context: Context) -> dict[str, Any]:
    layer = layer_in(context)
    assert type(layer) is Layer
    request = layer.request
    assert request is not None
    generated = {name for name, origin in request.origins.items() if origin == "generated"}
    return {
        # What is generated is another value each time.
        "values": {name: None if name in generated else value for name, value in request.values.items()},
        "order": [*request.values],
        "carried": dict(request.carried),
        "properties": dict(request.properties),
        "origins": dict(request.origins),
        "link": request.link,
        "former": request.former,
        "broken": request.broken_seal,
        "bound": (layer.bound, layer.members, layer.parent, layer.depth),
        "near": layer.near is request.values,
        "span": get_current_span(context).get_span_context(),
        "state": get_current_span(context).get_span_context().trace_state.to_header(),
        "kind": type(get_current_span(context)),
        "keys": sorted(key for key in context if not key.startswith("otelctx-layer")),
        "type": type(context),
    }


def _told(work: Callable[[], Any]) -> tuple[Any, dict[str, int]]:
    before = reports.counts()
    result = work()
    return result, {
        kind: count - before.get(kind, 0) for kind, count in reports.counts().items() if count != before.get(kind)
    }


def _both_read(carrier: Any, context: Context | None, getter: Any) -> None:
    read_slowly = in_python("otelctx.propagation.receiving.received")
    ours, counted = _told(lambda: received(carrier, context, getter, (), w3c=True))
    pure, expected = _told(lambda: read_slowly(carrier, context, getter, (), w3c=True))
    assert (_seen(ours), counted) == (_seen(pure), expected)


@given(MESSAGES, st.sampled_from(TRUSTS), st.sampled_from(["unix", "10.0.0.1", "203.0.113.9", None]))
@example({"baggage": "user_id=alice,request_id=r-1", "x-request-id": "r-1"}, TRUSTS[0], "unix")
@example({"baggage": "user_id=alice,user_id="}, TRUSTS[0], "unix")
@example({"traceparent": TRACEPARENT, "baggage": "user_id=a"}, TRUSTS[1], "unix")
def test_a_mapping_is_read_the_same(message: dict[str, str], trust: Trust, peer: str | None) -> None:
    before = ingress.replace(Ingress([Rule(Peers(["unix"]), trust)]))
    try:
        context = None if peer is None else with_peer(Context({"of somebody": 1}), peer)
        for _ in range(2):  # what is believed of a peer is remembered
            _both_read(message, context, default_getter)
    finally:
        ingress.replace(before)


@given(MESSAGES, st.sampled_from(TRUSTS), st.sampled_from([("10.0.0.1", 5), ("203.0.113.9", 5), None]), st.booleans())
def test_a_scope_is_read_the_same(message: dict[str, str], trust: Trust, client: Any, twice: bool) -> None:
    headers = [(name.encode(), text.encode("latin-1", "replace")) for name, text in message.items()]
    before = ingress.replace(Ingress([Rule(Peers(["10.0.0.0/8"]), trust)]))
    try:
        scope = {"type": "http", "headers": headers * (1 + twice), "client": client, "server": ("127.0.0.1", 80)}
        for _ in range(2):
            _both_read(scope, None, Headers(scope))
    finally:
        ingress.replace(before)


@pytest.mark.parametrize(
    "carrier",
    [
        {"baggage": ["user_id=alice", "tenant-key=acme"]},
        {"baggage": 5},
        {"traceparent": [TRACEPARENT]},
        {"traceparent": None, "baggage": "user_id=alice"},
        {},
        None,
        7,
    ],
)
def test_an_odd_carrier_is_read_the_same(carrier: Any) -> None:
    _both_read(carrier, with_peer(Context(), "unix"), default_getter)


@pytest.mark.parametrize("peer", [5, "", "not an address", "x" * 100])
def test_an_odd_peer_is_believed_the_same(peer: Any) -> None:
    for _ in range(2):
        _both_read({"baggage": "user_id=alice"}, with_peer(Context(), peer), default_getter)


def test_baggage_that_was_there_is_kept_the_same() -> None:
    before = with_peer(baggage.set_baggage("blend", "red", Context()), "unix")
    _both_read({"baggage": "user_id=alice"}, before, default_getter)


class Upper(Setter[Any]):
    """Writes in its own way."""

    def set(self, carrier: Any, key: str, value: str) -> None:
        carrier[key.upper()] = value


SPANS = st.one_of(
    st.just(INVALID_SPAN),
    st.builds(
        lambda trace_id, span_id, flags, state: NonRecordingSpan(
            SpanContext(trace_id, span_id, False, TraceFlags(flags), TraceState(state))
        ),
        st.integers(0, 2**128),
        st.integers(0, 2**64),
        st.sampled_from([0, 1, 3, 255, 256, -1]),
        st.sampled_from([[], [("a", "1")]]),
    ),
)
DECISIONS = st.builds(
    Decision, st.sampled_from([ALL, NOTHING, frozenset({"user_id", "blend"})]), st.booleans(), is_named=st.booleans()
)


@given(
    SPANS,
    st.dictionaries(
        st.sampled_from(["user_id", "tenant", "attempt", "local", "plain"]), VALUE | st.integers(), max_size=4
    ),
    st.dictionaries(st.sampled_from(["blend", "x.y"]), st.sampled_from(["red", "ü", "x" * 9000]), max_size=2),
    DECISIONS,
    st.sampled_from(["none", "open", "gate", "left"]),
    st.sampled_from([default_setter, Upper()]),
    st.frozensets(st.sampled_from(["baggage", "traceparent", "x-request-id"]), max_size=2),
)
def test_a_place_is_written_the_same(  # noqa: PLR0917 - what there is of it
    span: Any,
    values: dict[str, Any],
    members: dict[str, str],
    decision: Decision,
    passage: str,
    setter: Any,
    by_hand: frozenset[str],
) -> None:
    request = Request(accepted(values), members)
    context = with_layer(set_span_in_context(span, Context()), Layer(request))
    before = egress.replace(egress.EgressPolicy(unknown=decision.fields, trace=decision.trace))

    def written(send: Any) -> tuple[Any, ...]:
        request.sent = None
        outcome: list[Any] = []
        for _ in range(2):  # the second time from what was kept
            opened = Passage(decision)
            opened.by_hand = by_hand
            carrier: dict[str, str] = {}
            if passage in {"open", "gate"}:
                with opened:
                    send(
                        opened if passage == "gate" else carrier,
                        context,
                        into_passage if passage == "gate" else setter,
                        (),
                    )
            else:
                send(carrier, context, setter, ())
            outcome.append((carrier, opened.written))
        return tuple(outcome)

    try:
        ours = _told(lambda: written(sent))
        assert ours == _told(lambda: written(in_python("otelctx.propagation.sending.sent")))
    finally:
        egress.replace(before)
