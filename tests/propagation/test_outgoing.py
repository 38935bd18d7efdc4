"""What leaves the process of a redacted field: in baggage, in its header, in the echo, by any propagator."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote, unquote

import pytest
from opentelemetry import baggage
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context
from opentelemetry.propagate import get_global_textmap, set_global_textmap
from opentelemetry.propagators.jaeger import JaegerPropagator
from opentelemetry.trace import Tracer, get_current_span

import otelctx
from otelctx import Field, declare, extract, inject, request
from otelctx.core.redaction import MASK, keys, use_keys
from otelctx.core.state import layer_in, with_layer
from otelctx.propagation.beside import RequestOpening
from otelctx.propagation.edge import echoed_headers
from otelctx.propagation.egress import ALL, Decision
from otelctx.propagation.environment import to_environment
from otelctx.propagation.outgoing import outgoing_context
from otelctx.propagation.propagator import OtelctxPropagator

CLEAR = "alice"
EVERYTHING = Decision(ALL, trace=True)


@pytest.fixture(autouse=True)
def _keys() -> None:
    use_keys([b"k" * 32])


@pytest.fixture
def stock_baggage() -> Iterator[None]:
    """OpenTelemetry's own baggage propagator, beside which requests are opened."""
    before = get_global_textmap()
    set_global_textmap(RequestOpening(W3CBaggagePropagator()))
    yield
    set_global_textmap(before)


def declared(action: object) -> str | None:
    """Declare field *who* with *action*, and return what is to be on the wire."""
    declare(Field("who", remote=True, header="x-who", echo=True, key="w", redact={"wire": action}))  # type: ignore[dict-item]
    return {"drop": None, "mask": MASK, "hash": keys()[0].hash("who", CLEAR)}[str(action)]


def member(headers: dict[str, str], key: str) -> str | None:
    members = dict(member.split("=", 1) for member in headers.get("baggage", "").split(",") if member)
    return unquote(members[key]) if key in members else None


@pytest.mark.parametrize("action", ["drop", "mask", "hash"])
class TestRedacted:
    def test_baggage_and_header(self, action: str) -> None:
        expected = declared(action)
        headers: dict[str, str] = {}
        with request(who=CLEAR, user_id="bob"):
            inject(headers)
        assert (member(headers, "w"), headers.get("x-who")) == (expected, expected)
        assert member(headers, "user_id") == "bob"
        assert CLEAR not in repr(headers)

    def test_the_environment_of_a_program(self, action: str) -> None:
        declared(action)
        with request(who=CLEAR):
            assert CLEAR not in repr(to_environment())

    def test_the_echo(self, action: str) -> None:
        expected = declared(action)
        context = extract({"x-who": CLEAR, "x-request-id": "r"}, peer="unix")
        layer = layer_in(context)
        assert layer is not None
        echoed = dict(echoed_headers(layer))
        assert (echoed.get("x-who"), echoed["x-request-id"]) == (expected, "r")

    @pytest.mark.usefixtures("stock_baggage")
    def test_by_a_propagator_of_others(self, action: str) -> None:
        expected = declared(action)
        headers: dict[str, str] = {}
        with request(who=CLEAR, user_id="bob"):
            inject(headers)
            assert baggage.get_all()["w"] == otelctx.get("who") == CLEAR
        assert member(headers, "w") == expected
        assert member(headers, "user_id") == "bob"

    def test_by_a_propagator_beside_ours(self, action: str, tracer: Tracer) -> None:
        expected = declared(action)
        headers: dict[str, str] = {}
        with request(who=CLEAR), tracer.start_as_current_span("here"):
            OtelctxPropagator(JaegerPropagator()).inject(headers)
        assert (member(headers, "w"), headers.get("uberctx-w")) == (expected, expected and quote(expected))
        assert CLEAR not in repr(headers)

    def test_it_is_received_clear_all_the_same(self, action: str) -> None:
        declared(action)
        with request(peer="unix", carrier={"baggage": f"w={CLEAR}"}):
            assert otelctx.get("who") == CLEAR


class TestHashOnTheWire:
    def test_the_next_service_shows_the_same_hash(self) -> None:
        declare(Field("who", remote=True, redact="hash"))
        headers: dict[str, str] = {}
        with request(who=CLEAR):
            inject(headers)
        with request(peer="unix", carrier=headers):
            inject(further := {})
        assert member(further, "who") == member(headers, "who") == keys()[0].hash("who", CLEAR)


class TestContextForOthers:
    def test_it_is_the_very_same_when_nothing_is_redacted(self) -> None:
        with request(user_id="bob"):
            context = Context()
            assert outgoing_context(context, EVERYTHING) is context
            assert outgoing_context(None, EVERYTHING) is None

    def test_the_span_is_in_it(self, tracer: Tracer) -> None:
        declared("drop")
        with request(who=CLEAR), tracer.start_as_current_span("here") as span:
            context = outgoing_context(None, EVERYTHING)
            assert get_current_span(context) is span
            assert dict(baggage.get_all(context)).keys() == {"request_id"}

    def test_a_context_without_baggage_stays_without(self) -> None:
        declared("drop")
        with request(who=CLEAR):
            assert dict(baggage.get_all(outgoing_context(with_layer(Context(), None), EVERYTHING))) == {}
