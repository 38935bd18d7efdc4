"""The egress policy: what may go where, by default and by rules; `inject` and propagators obey it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from opentelemetry import baggage
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import attach, get_current
from opentelemetry.propagate import get_global_textmap, set_global_textmap
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.trace import Tracer, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

import otelctx
from otelctx import Field, declare, inject, request
from otelctx.core.reports import counts
from otelctx.errors import DestinationError
from otelctx.propagation import egress
from otelctx.propagation.beside import RequestOpening
from otelctx.propagation.destination import Destination, parse
from otelctx.propagation.egress import ALL, NOTHING, EgressPolicy, Rule
from otelctx.propagation.environment import to_environment
from otelctx.propagation.passage import Passage
from otelctx.propagation.pattern import parse_pattern
from otelctx.propagation.propagator import OtelctxPropagator
from otelctx.propagation.unknown import gate_follows, no_gate_follows


@pytest.fixture(autouse=True)
def _as_shipped() -> Iterator[None]:
    before = egress.replace(EgressPolicy())
    yield
    egress.replace(before)


@pytest.fixture
def propagators() -> Iterator[None]:
    """Whatever a test sets as the global propagator goes away again."""
    before = get_global_textmap()
    yield
    set_global_textmap(before)


def rule(*to: str, fields: frozenset[str] = ALL, trace: bool = True) -> Rule:
    return Rule(tuple(map(parse_pattern, to)), fields, trace, "test")


def sent(url: str | None) -> dict[str, str]:
    headers: dict[str, str] = {}
    inject(headers, destination=url)
    return headers


OWN = [
    "http://localhost", "http://orders", "http://orders:8080/x", "http://my_db", "http://127.0.0.1", "http://127.8.9.1",
    "http://[::1]", "http://10.1.2.3", "http://172.16.0.1", "http://192.168.0.1", "http://[fd12::1]",
    "http://[::ffff:10.0.0.1]", "http://printer.local", "http://metadata.google.internal", "http://a.b.internal.",
    "http://orders.shop.svc", "http://ORDERS.shop.svc.cluster.local", "ws://orders", "grpc://orders:50051",
    "process://python", "unix:///run/x.sock",
]  # fmt: skip

OTHERS = [
    "http://api.example.com", "https://8.8.8.8", "http://172.32.0.1", "http://169.254.169.254", "http://100.64.0.1",
    "http://0.0.0.0", "http://[2001:db8::1]", "http://[fe80::1%25eth0]", "http://[::ffff:8.8.8.8]",
    "http://local.example.com", "http://notlocal", "http://evil-internal.example", "http://internal.evil.example",
    "http://svc.cluster.local.evil.example", "http://10.0.0.1.evil.example", "http://localhost.evil.example",
    "http://localhost@evil.example", "http://evil.example/localhost", "http://evil.example?x=.internal",
    "kafka://orders", "amqp://events",
]  # fmt: skip
OTHERS.remove("http://notlocal")  # of one label, and so of one's own network


class TestDefaultRules:
    """Own services talk with nothing configured; everybody else gets the trace context and no field."""

    @pytest.mark.parametrize("url", OWN)
    def test_own_hosts_get_the_remote_fields(self, url: str) -> None:
        assert egress.policy().decide(parse(url)).everything

    @pytest.mark.parametrize("url", OTHERS)
    def test_other_hosts_get_none(self, url: str) -> None:
        decision = egress.policy().decide(parse(url))
        assert (decision.fields, decision.trace, decision.rule) == (NOTHING, True, None)

    def test_a_name_is_judged_by_the_name_and_not_by_what_it_resolves_to(self) -> None:
        """`localtest.me` and its like lead to 127.0.0.1, as whoever owns them says at this moment."""
        assert not egress.policy().decide(parse("http://localtest.me")).fields

    def test_without_them_nothing_goes_anywhere(self) -> None:
        egress.replace(EgressPolicy(defaults=False))
        assert not any(egress.policy().decide(parse(url)).fields for url in OWN)


class TestRules:
    """The first that names the destination decides."""

    def test_first_match_wins(self) -> None:
        rules = (rule("a.example", fields=frozenset({"user_id"})), rule("*.example", "a.example"))
        policy = EgressPolicy(rules)
        assert policy.decide(parse("http://a.example")).fields == {"user_id"}
        assert policy.decide(parse("http://b.example")).everything
        assert policy.decide(parse("http://a.example")).rule is rules[0]

    def test_a_rule_goes_before_the_default_ones(self) -> None:
        policy = EgressPolicy((rule("legacy", "10.9.0.0/16", fields=NOTHING),))
        assert not policy.decide(parse("http://legacy")).fields
        assert not policy.decide(parse("http://10.9.1.2")).fields
        assert policy.decide(parse("http://10.8.1.2")).everything

    def test_what_was_decided_is_remembered_within_bounds(self) -> None:
        policy = EgressPolicy()
        for number in range(5000):
            policy.decide(Destination("http", f"host{number}.example", 80))
        assert policy.decide.cache_info().currsize <= 1024  # type: ignore[attr-defined]


PATTERNS = {
    "api.example.com": (["http://api.example.com", "https://API.example.com.:8443"], ["http://x.api.example.com"]),
    "*.corp.example": (
        ["http://a.corp.example", "http://a.b.corp.example"],
        ["http://corp.example", "http://acorp.example"],
    ),
    "10.0.0.0/8": (["http://10.1.1.1", "http://[::ffff:10.1.1.1]"], ["http://11.1.1.1", "http://10.example"]),
    "192.0.2.7": (["http://192.0.2.7:99"], ["http://192.0.2.70"]),
    "2001:db8::/32": (["http://[2001:db8::9]"], ["http://[2001:db9::9]"]),
    "2001:DB8::1": (["http://[2001:db8:0::1]"], ["http://[2001:db8::2]"]),
    "[2001:db8::1]:8443": (["https://[2001:db8::1]:8443"], ["https://[2001:db8::1]"]),
    "host.example:8443": (["http://host.example:8443"], ["http://host.example", "https://host.example"]),
    "*.host.example:443": (["https://a.host.example"], ["http://a.host.example"]),
    "https://x.example": (
        ["https://x.example"],
        ["http://x.example", "http://x.example:443", "https://x.example:8443"],
    ),
    "grpc://x.example": (["grpc://x.example:50051", "grpc://x.example"], ["http://x.example"]),
    "bücher.example": (["http://xn--bcher-kva.example"], ["http://bucher.example"]),
    "kafka://orders": (["kafka://orders"], ["kafka://orders2", "amqp://orders", "http://orders"]),
    "kafka://*": (["kafka://orders", "kafka://a.b"], ["amqp://orders", "http://kafka"]),
    "orders": (["http://orders", "grpc://orders:1"], ["kafka://orders", "http://orders.example"]),
}

NOT_PATTERNS = {
    "*": "everyone",
    "*:443": "everyone",
    "https://*": "everyone",
    "*.": "everyone",
    "": "expected a host",
    "https://x.example/path": "not paths",
    "x.example/path": "not paths",
    "x.example?a=b": "not paths",
    "user@x.example": "leave out the user",
    "*corp.example": "whole labels",
    "api*.example": "whole labels",
    "a.*.example": "whole labels",
    "*.*.example": "whole labels",
    ".corp.example": "write '*.corp.example'",
    "*.10.0.0.1": "a network such as",
    "10.1.2.3/8": "write '10.0.0.0/8'",
    "10.0.0.0/99": "not paths",
    "127.1": "unusual form of an address",
    "2130706433": "unusual form of an address",
    "ex ample.com": "neither a name nor an address",
    "x.example:99999": "65535",
    "x.example:https": "where its host begins and ends",
    "stra\u00dfe.example": "xn--",
    "kafka://": "needs a name",
}  # fmt: skip


class TestPatterns:
    """What rules are written in: hosts compared whole, by parts that mean something."""

    @pytest.mark.parametrize(("text", "urls"), PATTERNS.items())
    def test_what_it_matches(self, text: str, urls: tuple[list[str], list[str]]) -> None:
        pattern = parse_pattern(text)
        assert [url for url in urls[0] if not pattern.matches(parse(url))] == []
        assert [url for url in urls[1] if pattern.matches(parse(url))] == []

    @pytest.mark.parametrize(("text", "explanation"), NOT_PATTERNS.items())
    def test_what_it_cannot_be_is_explained(self, text: str, explanation: str) -> None:
        with pytest.raises(DestinationError, match=explanation.replace("*", r"\*")):
            parse_pattern(text)


class TestInject:
    """By hand: what may go to `destination`, and the trace context alone where none is given."""

    def test_an_own_service_gets_the_fields(self) -> None:
        with request(request_id="r1", user_id="alice"):
            assert sent("http://orders:8000/new") == {"baggage": "request_id=r1,user_id=alice", "x-request-id": "r1"}

    def test_another_host_gets_the_trace_only(self, tracer: Tracer) -> None:
        with request(user_id="alice"), tracer.start_as_current_span("s"):
            assert sent("https://api.example.com").keys() == {"traceparent"}

    def test_with_no_destination_the_trace_goes_and_it_is_said_how_to_name_one(
        self, tracer: Tracer, caplog: pytest.LogCaptureFixture
    ) -> None:
        with request(user_id="alice"), tracer.start_as_current_span("s"):
            assert sent(None).keys() == {"traceparent"}
            assert sent(None).keys() == {"traceparent"}
        assert counts()["egress.unknown_destination"] == 2
        (message,) = [record.getMessage() for record in caplog.records]
        assert message.startswith(
            f"{__name__} sends without saying where to, so fields stay here and only the trace goes"
        )
        assert "otelctx.inject(headers, destination='https://api.example.com')" in message

    def test_nothing_is_said_where_nothing_is_held_back(self) -> None:
        sent(None)
        assert counts() == {}

    def test_an_instrumentation_that_a_gate_follows_is_not_told(self) -> None:
        gate_follows(__name__)
        with request(user_id="alice"):
            inject({})
        no_gate_follows(__name__)
        assert counts() == {}

    @pytest.mark.parametrize("url", ["orders", "http://", "http://127.1", "http://a\\@b", "http://\ud800"])
    def test_a_destination_that_is_not_clear_is_none(self, url: str) -> None:
        with request(user_id="alice"):
            assert sent(url) == {}
        assert counts()["egress.unclear_destination"] == 1

    def test_fields_that_a_rule_names_and_no_others(self) -> None:
        declare(Field("tenant", remote=True, header="x-tenant", key="app.tenant"))
        egress.replace(EgressPolicy((rule("api.example.com", fields=frozenset({"tenant", "colour"})),)))
        with request(user_id="alice", tenant="acme"):
            attach(baggage.set_baggage("colour", "red", baggage.set_baggage("size", "5")))
            headers = sent("https://api.example.com/x")
        assert set(headers.pop("baggage").split(",")) == {"app.tenant=acme", "colour=red"}
        assert headers == {"x-tenant": "acme"}

    def test_where_there_is_no_trace_there_is_nothing(self, tracer: Tracer) -> None:
        egress.replace(EgressPolicy((rule("tracker.example", fields=NOTHING, trace=False),), trace=False))
        with request(user_id="alice"), tracer.start_as_current_span("s"):
            assert sent("https://tracker.example") == {}
            assert sent("https://elsewhere.example") == {}
            assert sent(None) == {}
            assert sent("http://orders").keys() == {"traceparent", "baggage", "x-request-id"}

    @pytest.mark.parametrize("url", ["https://api.example.com", None])
    def test_what_was_written_for_another_destination_does_not_stay(self, url: str | None, tracer: Tracer) -> None:
        headers = {"accept": "text/plain"}
        with request(user_id="alice"), tracer.start_as_current_span("s"):
            inject(headers, destination="http://orders")
            headers.update({"Baggage": headers.pop("baggage"), "uberctx-user_id": "alice"})
            inject(headers, destination=url)
            assert headers.keys() == {"accept", "traceparent"}
            egress.replace(EgressPolicy(trace=False))
            inject(headers, destination=url)
            assert headers == {"accept": "text/plain"}

    def test_unknown_destinations_may_be_given_fields(self) -> None:
        egress.replace(EgressPolicy(unknown=frozenset({"request_id"})))
        with request(user_id="alice", request_id="r1"):
            assert sent(None) == {"baggage": "request_id=r1", "x-request-id": "r1"}
        assert counts() == {}

    def test_a_context_that_is_given_is_honoured(self, tracer: Tracer) -> None:
        with request(user_id="alice", request_id="r1"), tracer.start_as_current_span("s"):
            there = get_current()
        headers: dict[str, str] = {}
        inject(headers, there, destination="http://orders")
        assert headers["baggage"] == "request_id=r1,user_id=alice"
        headers.clear()
        inject(headers, there, destination="https://api.example.com")
        assert headers.keys() == {"traceparent"}

    def test_a_span_that_is_not_sampled_changes_nothing(self, tracer: Tracer) -> None:
        not_sampled = otelctx.extract({"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"})
        with request(user_id="alice", request_id="r1"):
            context = set_span_in_context(tracer.start_span("s", not_sampled))
            headers: dict[str, str] = {}
            inject(headers, context, destination="https://api.example.com")
            assert headers.keys() == {"traceparent"}
            inject(headers, context, destination="http://orders")
            assert headers["baggage"] == "request_id=r1,user_id=alice"


class TestOtherPropagators:
    """Those that others have written get a Context with no more baggage in it than may go."""

    STOCK = CompositePropagator([TraceContextTextMapPropagator(), W3CBaggagePropagator()])

    @pytest.mark.usefixtures("propagators")
    @pytest.mark.parametrize("propagator", [RequestOpening(STOCK), STOCK], ids=["beside", "set by the application"])
    def test_what_may_go_and_nothing_else(self, propagator: CompositePropagator, tracer: Tracer) -> None:
        set_global_textmap(propagator)
        egress.replace(
            EgressPolicy((rule("half.example", fields=frozenset({"user_id"})), rule("none.example", trace=False)))
        )
        with request(user_id="alice", request_id="r1"), tracer.start_as_current_span("s"):
            assert sent("http://orders")["baggage"] in {"request_id=r1,user_id=alice", "user_id=alice,request_id=r1"}
            assert sent("http://half.example")["baggage"] == "user_id=alice"
            assert sent("http://other.example").keys() == {"traceparent"}
            assert sent(None).keys() == {"traceparent"}
            assert sent("http://none.example") == {}

    @pytest.mark.usefixtures("propagators")
    def test_in_the_process_the_baggage_stays_whole(self) -> None:
        set_global_textmap(RequestOpening(self.STOCK))
        with request(user_id="alice", request_id="r1"):
            sent("http://other.example")
            assert baggage.get_all() == {"request_id": "r1", "user_id": "alice"}


class TestPassage:
    """A destination is known while the passage is open, and no longer."""

    def test_any_propagator_that_injects_within_obeys(self) -> None:
        headers: dict[str, str] = {}
        with request(user_id="alice"), Passage(egress.policy().decide(parse("http://orders"))):
            OtelctxPropagator().inject(headers)
        assert "user_id=alice" in headers["baggage"]

    def test_the_inner_of_two_counts(self) -> None:
        with request(user_id="alice"), Passage(egress.policy().decide(parse("http://orders"))):
            assert sent("http://other.example") == {}
            assert "baggage" in sent("http://orders")

    def test_work_that_outlives_it_is_on_its_way_to_nowhere_known(self) -> None:
        from contextvars import copy_context

        with request(user_id="alice"), Passage(egress.policy().decide(parse("http://orders"))):
            later = copy_context()
        assert later.run(sent, None) == {}

    def test_it_may_end_in_another_context(self) -> None:
        from contextvars import copy_context

        passage = Passage(egress.policy().decide(parse("http://orders")))
        copy_context().run(passage.__enter__)
        passage.__exit__(None, None, None)
        assert not passage.is_open


class TestPrograms:
    """A program that is started is a destination too: `process://NAME`."""

    def test_it_gets_the_fields(self) -> None:
        with request(user_id="alice", request_id="r1"):
            assert to_environment("worker") == {"BAGGAGE": "request_id=r1,user_id=alice"}

    def test_a_rule_may_say_otherwise(self) -> None:
        egress.replace(EgressPolicy((rule("process://curl", fields=NOTHING),)))
        with request(user_id="alice"):
            assert to_environment("curl") == {}
            assert "BAGGAGE" in to_environment("python")
