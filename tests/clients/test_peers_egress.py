"""
What plain OpenTelemetry and its neighbours do with what goes out, and what we do instead: a test for each row.

Each shows the other's behaviour first, so that it tells when there is nothing to do better any more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest
from opentelemetry import baggage, trace
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context, attach
from opentelemetry.propagate import set_global_textmap
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.propagators.textmap import TextMapPropagator
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, Sampler
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

import otelctx
from otelctx.propagation.destination import known_url
from otelctx.propagation.egress import EgressPolicy, Rule
from otelctx.propagation.pattern import parse_pattern
from otelctx.propagation.propagator import OtelctxPropagator
from otelctx.setup import gates
from tests.clients.arrived import SAMPLED, assert_all, assert_trace_only, receive
from tests.clients.clients import CLIENTS, Client
from tests.clients.server import Server

PLAIN = CompositePropagator([TraceContextTextMapPropagator(), W3CBaggagePropagator()])
INSTRUMENTED = pytest.mark.parametrize("client", [CLIENTS["httpx"], CLIENTS["requests"]], ids=["httpx", "requests"])

Use = Callable[..., None]


@pytest.fixture
def there(client: Client) -> Iterator[Use]:
    """OpenTelemetry as it is: its propagators, its instrumentation of the client."""
    instrumentors: list[Any] = []

    def use(sampler: Sampler = ALWAYS_ON, processor: SpanProcessor | None = None) -> None:
        provider = TracerProvider(sampler, shutdown_on_exit=False)
        if processor is not None:
            provider.add_span_processor(processor)
        set_global_textmap(PLAIN)
        instrumentors.append(client.instrument(tracer_provider=provider))
        attach(PLAIN.extract(SAMPLED))

    yield use
    for instrumentor in instrumentors:
        instrumentor.uninstrument()


@pytest.fixture
def here(there: Use) -> Iterator[Use]:
    """The same, with otelctx."""

    def use(sampler: Sampler = ALWAYS_ON) -> None:
        there(sampler)
        set_global_textmap(OtelctxPropagator())
        gates.install()
        receive()

    yield use
    gates.uninstall()


@INSTRUMENTED
class TestEveryHostGetsAllBaggage:
    def test_there(self, client: Client, there: Use, untrusted: Server) -> None:
        there()
        client.get(f"{untrusted.url}/a", {}, None)
        assert untrusted.at("/a").texts("baggage") == ["user_id=alice,colour=red"]

    def test_here_those_that_a_rule_names(self, client: Client, here: Use, trusted: Server, untrusted: Server) -> None:
        here()
        client.get(f"{untrusted.url}/a", {}, None)
        client.get(f"{trusted.url}/a", {}, None)
        assert_trace_only(untrusted.at("/a"))
        assert_all(trusted.at("/a"))


@INSTRUMENTED
class TestARedirectTakesItAlong:
    def test_there(self, client: Client, there: Use, trusted: Server, untrusted: Server) -> None:
        there()
        client.get(f"{trusted.url}/to?{untrusted.url}/b", {}, None)
        assert untrusted.at("/b").texts("baggage") == ["user_id=alice,colour=red"]

    def test_here_it_stays_behind(self, client: Client, here: Use, trusted: Server, untrusted: Server) -> None:
        here()
        client.get(f"{trusted.url}/to?{untrusted.url}/b", {}, None)
        assert_trace_only(untrusted.at("/b"))


class _ByTheSpan(TextMapPropagator):
    """What one can do there: read the destination from the span of the call."""

    def __init__(self) -> None:
        self.known: list[object] = []

    def extract(self, carrier: Any, context: Any = None, getter: Any = None) -> Context:
        return context or Context()

    def inject(self, carrier: Any, context: Any = None, setter: Any = None) -> None:
        span = trace.get_current_span(context)
        self.known.append(getattr(span, "attributes", {}).get("http.url") if span.is_recording() else None)

    @property
    def fields(self) -> set[str]:
        return set()


@INSTRUMENTED
class TestTheDestinationIsKnownOnlyIfTheSpanRecords:
    @pytest.mark.parametrize(("sampler", "is_known"), [(ALWAYS_ON, True), (ALWAYS_OFF, False)])
    def test_there(self, client: Client, there: Use, untrusted: Server, sampler: Sampler, is_known: bool) -> None:
        by_the_span = _ByTheSpan()
        there(sampler)
        set_global_textmap(by_the_span)
        client.get(f"{untrusted.url}/c", {}, None)
        assert [known is not None for known in by_the_span.known] == [is_known]

    @pytest.mark.parametrize("sampler", [ALWAYS_ON, ALWAYS_OFF])
    def test_here_always(self, client: Client, here: Use, trusted: Server, untrusted: Server, sampler: Sampler) -> None:
        here(sampler)
        client.get(f"{trusted.url}/to?{untrusted.url}/c", {}, None)
        assert_all(trusted.received[0])
        assert_trace_only(untrusted.at("/c"))


PARTS_OF_A_URL = (
    "https://evil.example/?next=api.example.com",
    "https://evil.example/api.example.com",
    "https://api.example.com.evil.example/",
    "https://api.example.com@evil.example/",
    "https://notapi.example.com/",
)


@pytest.mark.parametrize("url", PARTS_OF_A_URL)
def test_a_host_is_found_by_the_whole_of_it(url: str) -> None:
    """Sentry's SDK for JavaScript once matched any part of a URL (getsentry/sentry-javascript, 6077)."""
    policy = EgressPolicy((Rule((parse_pattern("api.example.com"),), frozenset({"*"})),))
    assert policy.decide(known_url("https://api.example.com/x")).everything
    assert "api.example.com" in url
    assert not policy.decide(known_url(url)).fields


def sent(propagator: TextMapPropagator, context: Context) -> str:
    headers: dict[str, str] = {}
    propagator.inject(headers, context)
    return headers.get("baggage", "")


class TestWhatDoesNotFitIsCutInTheOrderOfSetting:
    def test_there(self) -> None:
        context = Context()
        for number in range(200):
            context = baggage.set_baggage(f"k{number}", "v", context)
        header = sent(W3CBaggagePropagator(), baggage.set_baggage("user_id", "alice", context))
        assert header.count("=") == 180
        assert "user_id" not in header

    def test_here_the_important_ones_leave(self) -> None:
        headers: dict[str, str] = {}
        with otelctx.request():
            for number in range(200):
                attach(baggage.set_baggage(f"k{number}", "v"))
            otelctx.set(user_id="alice")
            otelctx.inject(headers, destination="http://orders")
        members = headers["baggage"].split(",")
        assert (len(members), members[1], members[-1]) == (64, "user_id=alice", "otelctx-dropped=139")


class TestNoneIsSentAsAText:
    def test_there(self) -> None:
        assert sent(W3CBaggagePropagator(), baggage.set_baggage("user_id", None, Context())) == "user_id=None"  # type: ignore[arg-type]

    def test_here_it_is_no_value(self) -> None:
        headers: dict[str, str] = {}
        with otelctx.request(request_id="r1"):
            attach(baggage.set_baggage("user_id", None))  # type: ignore[arg-type]
            otelctx.set(colour=None)
            otelctx.inject(headers, destination="http://orders")
        assert headers["baggage"] == "request_id=r1"


class TestPropertiesAreEncodedWhenTheyAreSentOn:
    CARRIER: Final = {"baggage": "plan=gold;ttl=5"}

    def test_there(self) -> None:
        assert sent(W3CBaggagePropagator(), W3CBaggagePropagator().extract(self.CARRIER)) == "plan=gold%3Bttl%3D5"

    def test_here_they_stay_properties(self) -> None:
        headers: dict[str, str] = {}
        with otelctx.request(carrier=self.CARRIER, peer="unix"):
            otelctx.inject(headers, destination="http://orders")
        assert "plan=gold;ttl=5" in headers["baggage"].split(",")


class TestASpaceAndAPlusAreTheSame:
    def test_there(self) -> None:
        assert sent(W3CBaggagePropagator(), baggage.set_baggage("user_id", "a b", Context())) == "user_id=a+b"

    def test_here_each_is_itself(self) -> None:
        headers: dict[str, str] = {}
        with otelctx.request(request_id="r1", user_id="a b+c"):
            otelctx.inject(headers, destination="http://orders")
        assert headers["baggage"] == "request_id=r1,user_id=a%20b+c"
