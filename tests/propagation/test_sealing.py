"""Seals at both edges: on what a propagator writes, and asked of what one reads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.propagate import get_global_textmap, set_global_textmap
from opentelemetry.propagators.jaeger import JaegerPropagator
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, Tracer

import otelctx
from otelctx import Field, declare, extract, inject, request
from otelctx.core.reports import counts
from otelctx.core.state import current_request
from otelctx.propagation import codec, egress, ingress, sealing
from otelctx.propagation.beside import RequestOpening
from otelctx.propagation.egress import EgressPolicy, Rule
from otelctx.propagation.ingress import Ingress
from otelctx.propagation.pattern import parse_pattern
from otelctx.propagation.peers import Peers
from otelctx.propagation.propagator import OtelctxPropagator
from otelctx.propagation.seal import Sealer
from otelctx.propagation.sealing import SEAL
from otelctx.signals.spans import FieldSpanProcessor

KEY = b"k" * 32
NOW = 1_700_000_000.0
PEER = "127.0.0.1"


class Clock:
    """A clock that stands until it is set."""

    now = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=[False, True], ids=["signed", "encrypted"], autouse=True)
def sealer(request: pytest.FixtureRequest, clock: Clock) -> Sealer:
    """A seal that is in force for every test, and asked of everybody."""
    declare(Field("tenant", remote=True, header="x-tenant"))
    sealer = Sealer([KEY], "shop", encrypts=request.param, clock=clock)
    sealing.replace(sealer)
    ingress.replace(Ingress().requiring(Peers(["*"])))
    return sealer


@pytest.fixture
def propagators() -> Iterator[Any]:
    before = get_global_textmap()
    yield set_global_textmap
    set_global_textmap(before)


def sent(**values: object) -> dict[str, str]:
    """Return the headers of a call in a request with *values*."""
    headers: dict[str, str] = {}
    with request(**{"request_id": "r-1", **values}):
        inject(headers)
    return headers


def received(headers: dict[str, Any]) -> dict[str, object]:
    """Return the values of the request that *headers* open."""
    found = current_request(extract(headers, peer=PEER))
    assert found is not None
    return {**found.values, **found.carried}


class TestBothEdges:
    def test_sealed_fields_are_adopted(self) -> None:
        headers = sent(user_id="alice", tenant="acme")
        assert received(headers) == {"request_id": "r-1", "user_id": "alice", "tenant": "acme"}
        assert counts() == {}

    def test_the_seal_itself_goes_no_further(self) -> None:
        with request(carrier=sent(user_id="alice"), peer=PEER):
            further: dict[str, str] = {}
            inject(further)
            assert SEAL not in otelctx.current()
        assert further["baggage"].count(SEAL) == 1
        assert received(further)["user_id"] == "alice"

    def test_of_what_is_encrypted_only_the_request_id_can_be_read(self, sealer: Sealer) -> None:
        headers = sent(user_id="alice", tenant="acme")
        assert headers["x-request-id"] == "r-1"
        assert ("alice" in repr(headers), "x-tenant" in headers) == ((not sealer.encrypts,) * 2)

    def test_what_leaves_redacted_is_sealed_redacted(self) -> None:
        declare(Field("user_id", remote=True, redact={"wire": "mask"}))
        assert received(sent(user_id="alice"))["user_id"] == "***"

    def test_undeclared_members_are_sealed_too(self) -> None:
        with request(carrier=sent(), peer=PEER):
            found = current_request()
            assert found is not None
            found.carried["vendor"] = "v"
            inject(headers := {})
        assert received(headers)["vendor"] == "v"


class TestEgress:
    """The egress policy decides first, and what it lets out is sealed."""

    @pytest.fixture(autouse=True)
    def _rules(self) -> None:
        with_id = Rule((parse_pattern("partner.example"),), frozenset({"request_id", "tenant"}))
        without = Rule((parse_pattern("other.example"),), frozenset({"tenant"}))
        egress.replace(EgressPolicy((with_id, without)))

    @staticmethod
    def sent_to(host: str) -> dict[str, str]:
        headers: dict[str, str] = {}
        with request(request_id="r-1", user_id="alice", tenant="acme"):
            inject(headers, destination=f"https://{host}")
        return headers

    def test_the_seal_covers_what_may_go_there(self) -> None:
        assert received(self.sent_to("partner.example")) == {"request_id": "r-1", "tenant": "acme"}

    def test_where_nothing_may_go_no_seal_goes_either(self) -> None:
        assert self.sent_to("elsewhere.example") == {}

    def test_fields_without_the_request_id_have_no_seal_and_are_not_believed(self, sealer: Sealer) -> None:
        headers = self.sent_to("other.example")
        assert headers == ({} if sealer.encrypts else {"baggage": "tenant=acme", "x-tenant": "acme"})
        assert "tenant" not in received(headers)
        assert counts()["seal.no_request_id"] == 1


class TestRefused:
    """Then only the request id is adopted, as of a stranger; the trace is not the seal's concern."""

    @pytest.fixture(autouse=True)
    def _fields(self) -> Iterator[None]:
        yield
        assert "user_id" not in self.found
        assert self.found["request_id"] == "r-1"

    def check(self, headers: dict[str, Any], kind: str) -> None:
        self.found = received(headers)
        assert counts()[f"seal.{kind}"] == 1

    def test_without_a_seal(self) -> None:
        self.check({"baggage": "user_id=mallory", "x-request-id": "r-1"}, "missing")

    def test_a_field_by_its_header_alone(self) -> None:
        self.check({"x-tenant": "acme", "x-request-id": "r-1"}, "missing")
        assert "tenant" not in self.found

    def test_with_one_that_is_too_old(self, clock: Clock) -> None:
        headers = sent(user_id="alice")
        clock.now += 331
        self.check(headers, "expired")

    def test_with_one_of_another_key(self, clock: Clock, sealer: Sealer) -> None:
        other = Sealer([b"o" * 32], "mallory", encrypts=sealer.encrypts, clock=clock)
        sealing.replace(other)
        headers = sent(user_id="alice")
        sealing.replace(sealer)
        self.check(headers, "wrong_key")

    def test_with_a_member_added(self) -> None:
        headers = sent(user_id="alice")
        headers["baggage"] += ",admin=true"
        self.check(headers, "altered")
        assert "admin" not in self.found

    def test_with_a_header_that_says_otherwise(self) -> None:
        self.check({**sent(user_id="alice", tenant="acme"), "x-tenant": "other"}, "altered")
        assert "tenant" not in self.found

    def test_with_a_header_that_was_added(self) -> None:
        self.check({**sent(user_id="alice"), "x-tenant": "other"}, "altered")

    def test_with_the_seal_of_another_request(self) -> None:
        ours, theirs = sent(user_id="alice"), sent(user_id="bob", request_id="r-2")
        seals = [codec.decode([headers["baggage"]])[0][SEAL] for headers in (ours, theirs)]
        self.check({**ours, "baggage": ours["baggage"].replace(*seals)}, "altered")

    def test_the_trace_continues(self) -> None:
        trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        headers = {"baggage": "user_id=mallory", "x-request-id": "r-1", "traceparent": trace}
        self.check(headers, "missing")
        with request(carrier=headers, peer=PEER):
            inject(further := {})
        assert further["traceparent"][:35] == trace[:35]


class TestRequestId:
    def test_one_of_a_proxy_that_is_not_the_sealed_one_is_adopted_alone(self) -> None:
        found = received({**sent(user_id="alice"), "x-request-id": "of-the-proxy"})
        assert found == {"request_id": "of-the-proxy"}
        assert counts() == {"seal.altered": 1}

    def test_a_message_with_nothing_else_needs_no_seal(self) -> None:
        assert received({"x-request-id": "r-1"}) == {"request_id": "r-1"}
        assert received({"baggage": "request_id=r-1"}) == {"request_id": "r-1"}
        assert counts() == {}


class TestRequired:
    def test_who_needs_none_may_have_none(self) -> None:
        ingress.replace(Ingress().requiring(Peers(["10.0.0.0/8"])))
        assert received({"baggage": "user_id=alice", "x-request-id": "r-1"})["user_id"] == "alice"

    def test_but_not_a_broken_one(self) -> None:
        ingress.replace(Ingress().requiring(Peers(["10.0.0.0/8"])))
        headers = sent(user_id="alice")
        headers["baggage"] += ",admin=true"
        assert received(headers) == {"request_id": "r-1"}

    def test_a_seal_makes_nobody_trusted(self) -> None:
        found = current_request(extract(sent(user_id="alice"), peer="203.0.113.5"))
        assert found is not None
        assert found.values == {"request_id": "r-1"}

    def test_without_seals_in_force_one_passes_through(self, sealer: Sealer) -> None:
        headers = sent(user_id="alice")
        sealing.replace(None)
        with request(carrier=headers, peer=PEER):
            inject(further := {})
        sealing.replace(sealer)
        assert received(further)["user_id"] == "alice"


class TestTold:
    """The server span says which hop failed and why; a log names a service only if the seal proves it."""

    def attributes(self, headers: dict[str, Any]) -> dict[str, Any]:
        exporter = InMemorySpanExporter()
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(FieldSpanProcessor())
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        tracer = provider.get_tracer("tests")
        with (
            request(carrier=headers, peer=PEER),
            tracer.start_as_current_span("server", kind=SpanKind.SERVER),
            tracer.start_as_current_span("inner"),
        ):
            pass
        inner, server = exporter.get_finished_spans()
        assert not any(name.startswith("otelctx.seal") for name in inner.attributes or {})
        return {name: value for name, value in (server.attributes or {}).items() if name.startswith("otelctx.seal")}

    def test_a_valid_one_is_not_worth_a_word(self) -> None:
        assert self.attributes(sent(user_id="alice")) == {}

    def test_none(self) -> None:
        said = self.attributes({"baggage": "user_id=mallory"})
        assert said == {"otelctx.seal.failure": "missing", "otelctx.seal.hop": "unknown"}

    def test_a_proven_one(self, clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
        headers = sent(user_id="alice")
        clock.now += 10_000
        assert self.attributes(headers) == {"otelctx.seal.failure": "expired", "otelctx.seal.hop": "shop"}
        assert "because of their seal of service 'shop': expired" in caplog.text

    def test_one_that_is_only_declared(self, clock: Clock, sealer: Sealer, caplog: pytest.LogCaptureFixture) -> None:
        sealing.replace(Sealer([b"o" * 32], "mallory", encrypts=sealer.encrypts, clock=clock))
        headers = sent(user_id="alice")
        sealing.replace(sealer)
        assert self.attributes(headers) == {"otelctx.seal.failure": "wrong key", "otelctx.seal.hop": "mallory"}
        assert "because of their seal: wrong key" in caplog.text
        assert "mallory" not in caplog.text


class TestOtherFormats:
    def test_beside_ours_they_must_say_what_is_sealed(self, propagators: Any, sealer: Sealer, tracer: Tracer) -> None:
        propagators(OtelctxPropagator(JaegerPropagator()))
        with tracer.start_as_current_span("here"):
            headers = sent(user_id="alice")
        assert ("uberctx-user_id" in headers) is not sealer.encrypts
        assert received(headers)["user_id"] == "alice"
        assert received({**headers, "uberctx-more": "x"}) == {"request_id": "r-1"}

    def test_in_place_of_ours_they_carry_no_seal_and_what_they_read_is_refused(self, propagators: Any) -> None:
        propagators(RequestOpening(W3CBaggagePropagator()))
        headers = sent(user_id="alice")
        assert SEAL not in headers["baggage"]
        assert received(headers) == {"request_id": "r-1"}

    def test_nothing_that_is_to_be_encrypted_leaves_by_them(self, propagators: Any, sealer: Sealer) -> None:
        propagators(RequestOpening(W3CBaggagePropagator()))
        assert ("alice" in sent(user_id="alice")["baggage"]) is not sealer.encrypts
