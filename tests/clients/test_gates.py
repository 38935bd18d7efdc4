"""
The gates of clients: what each sends to a trusted and to an untrusted host, in every order of installation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from opentelemetry.propagate import set_global_textmap
from opentelemetry.propagators.jaeger import JaegerPropagator
from opentelemetry.propagators.textmap import TextMapPropagator, default_setter

from otelctx.core.reports import counts
from otelctx.propagation import egress
from otelctx.propagation.beside import RequestOpening
from otelctx.propagation.egress import ALL, NOTHING, EgressPolicy, Rule
from otelctx.propagation.pattern import parse_pattern
from otelctx.propagation.propagator import OtelctxPropagator
from tests.clients.arrived import NOT_SAMPLED, assert_all, assert_no_field, assert_trace_only, receive
from tests.clients.clients import CLIENTS, Client
from tests.clients.server import Server, tunnelling

Install = Callable[[Client], Any]


@pytest.fixture(params=CLIENTS.values(), ids=CLIENTS.keys())
def client(request: pytest.FixtureRequest) -> Client:
    found: Client = request.param
    return found


def call(
    client: Client, url: str, headers: dict[str, str] | None = None, proxy: str | None = None, **incoming: str
) -> None:
    """Let *client* get *url* in the request that *incoming* headers, else `SAMPLED` ones, bring."""
    receive(**incoming)
    client.get(url, headers or {}, proxy)


class TestWhatIsSent:
    """Each host gets what may go to it, at each hop and at each attempt."""

    def test_a_trusted_host_gets_all(self, client: Client, installed: Install, trusted: Server) -> None:
        installed(client)
        call(client, f"{trusted.url}/a")
        assert_all(trusted.at("/a"))

    def test_an_untrusted_host_gets_the_trace_only(self, client: Client, installed: Install, untrusted: Server) -> None:
        installed(client)
        call(client, f"{untrusted.url}/a")
        assert_trace_only(untrusted.at("/a"))

    def test_a_redirect_from_trusted_to_untrusted(
        self, client: Client, installed: Install, trusted: Server, untrusted: Server
    ) -> None:
        installed(client)
        call(client, f"{trusted.url}/to?{untrusted.url}/b")
        assert_all(trusted.received[0])
        assert_trace_only(untrusted.at("/b"))

    def test_a_redirect_from_untrusted_to_trusted_and_back(
        self, client: Client, installed: Install, trusted: Server, untrusted: Server
    ) -> None:
        installed(client)
        call(client, f"{untrusted.url}/to?{trusted.url}/to?{untrusted.url}/c")
        assert_trace_only(untrusted.received[0])
        assert_all(trusted.received[0])
        assert_trace_only(untrusted.at("/c"))

    def test_each_retry(self, client: Client, installed: Install, trusted: Server, untrusted: Server) -> None:
        installed(client)
        for server in (trusted, untrusted):
            server.refusals["/late"] = 2
            call(client, f"{server.url}/late")
        assert len(trusted.received) == len(untrusted.received) == 3
        for received in trusted.received:
            assert_all(received)
        for received in untrusted.received:
            assert_trace_only(received)

    def test_the_target_counts_and_not_the_proxy(
        self, client: Client, installed: Install, trusted: Server, untrusted: Server
    ) -> None:
        if client.is_http2:
            pytest.skip("the proxy of these tests speaks HTTP/1.1")
        installed(client)
        call(client, f"{untrusted.url}/d", proxy=trusted.url)
        assert_trace_only(untrusted.at("/d"))
        assert_trace_only(trusted.at(f"{untrusted.url}/d"))
        call(client, f"{trusted.url}/e", proxy=untrusted.url)
        assert_all(trusted.at("/e"))

    def test_the_target_counts_and_not_the_proxy_that_tunnels_to_it(
        self, client: Client, installed: Install, over_tls: tuple[Server, Server]
    ) -> None:
        if client.is_http2:
            pytest.skip("the servers of this test speak HTTP/1.1")
        trusted, untrusted = over_tls
        installed(client)
        with tunnelling("127.0.0.1") as near, tunnelling("127.0.0.2") as far:
            call(client, f"{untrusted.url}/d", proxy=near.url)
            call(client, f"{trusted.url}/e", proxy=far.url)
            told = near.received + far.received
        assert_trace_only(untrusted.at("/d"))
        assert_all(trusted.at("/e"))
        assert [f"https://{tunnel.path}" for tunnel in told] == [untrusted.url, trusted.url]
        for tunnel in told:
            assert_no_field(tunnel)

    def test_a_request_that_is_not_sampled(
        self, client: Client, installed: Install, trusted: Server, untrusted: Server
    ) -> None:
        installed(client)
        call(client, f"{trusted.url}/to?{untrusted.url}/f", **NOT_SAMPLED)
        assert_all(trusted.received[0])
        assert_trace_only(untrusted.at("/f"))
        assert {received.texts("traceparent")[0][-2:] for received in trusted.received + untrusted.received} == {"00"}

    def test_where_no_trace_may_go_there_is_nothing(
        self, client: Client, installed: Install, trusted: Server, untrusted: Server
    ) -> None:
        egress.replace(EgressPolicy((Rule((parse_pattern("127.0.0.2"),), NOTHING, trace=False),)))
        installed(client)
        call(client, f"{trusted.url}/to?{untrusted.url}/g")
        assert_all(trusted.received[0])
        assert_no_field(untrusted.at("/g"))
        assert untrusted.at("/g").texts("traceparent") == []

    def test_what_may_go_where_nothing_is_known_is_not_for_a_host_that_is_known(
        self, client: Client, installed: Install, trusted: Server, untrusted: Server
    ) -> None:
        """Instrumentation outside of a gate names no destination, and must not open one for what a rule forbids."""
        egress.replace(EgressPolicy((Rule((parse_pattern("127.0.0.2"),), NOTHING),), unknown=ALL))
        installed(client)
        call(client, f"{trusted.url}/to?{untrusted.url}/m")
        assert_all(trusted.received[0])
        assert_trace_only(untrusted.at("/m"))

    def test_nobody_is_told_to_name_a_destination(self, client: Client, installed: Install, trusted: Server) -> None:
        installed(client)
        call(client, f"{trusted.url}/h")
        assert counts() == {}


class TestOtherFormats:
    """A propagator that writes a header for each member is held back like ours."""

    def test_a_redirect_takes_nothing_along(
        self, client: Client, installed: Install, trusted: Server, untrusted: Server
    ) -> None:
        set_global_textmap(OtelctxPropagator(JaegerPropagator()))
        installed(client)
        call(client, f"{trusted.url}/to?{untrusted.url}/l", headers={"uberctx-colour": "mine"})
        assert_all(trusted.received[0])
        assert trusted.received[0].texts("uberctx-user_id") == ["alice"]
        assert_trace_only(untrusted.at("/l"))
        assert untrusted.at("/l").texts("uberctx-user_id") == []
        assert [request.texts("uberctx-colour") for request in trusted.received + untrusted.received] == [["mine"]] * 2


class _Broken(TextMapPropagator):
    """A propagator of others that cannot say what it writes."""

    def extract(self, carrier: Any, context: Any = None, getter: Any = None) -> Any:
        return context

    def inject(self, carrier: Any, context: Any = None, setter: Any = None) -> None:
        """Write nothing."""

    @property
    def fields(self) -> set[str]:
        raise RuntimeError


class _ByItself(_Broken):
    """A propagator of others that does not use the setter that it is given."""

    def inject(self, carrier: Any, context: Any = None, setter: Any = None) -> None:
        carrier["X-Tenant"] = "t1"
        default_setter.set(carrier, "X-Colour", "red")

    @property
    def fields(self) -> set[str]:
        return {"x-tenant", "x-colour"}


@pytest.mark.parametrize("around", [OtelctxPropagator, RequestOpening])
def test_a_propagator_that_writes_to_the_carrier_itself_does_so_through_the_gate(
    client: Client, installed: Install, trusted: Server, around: Callable[[TextMapPropagator], TextMapPropagator]
) -> None:
    set_global_textmap(around(_ByItself()))
    installed(client)
    call(client, f"{trusted.url}/n")
    received = trusted.at("/n")
    assert received.texts("x-tenant") + received.texts("x-colour") == ["t1", "red"]
    assert counts() == {}


def test_a_gate_that_fails_lets_the_request_pass_and_counts_it(
    client: Client, installed: Install, trusted: Server
) -> None:
    set_global_textmap(_Broken())
    installed(client)
    client.get(f"{trusted.url}/n", {"X-Request-Id": "mine"}, None)
    assert trusted.at("/n").texts("x-request-id") == ["mine"]
    assert counts()["egress.gate_failed"] == 1


def test_extensions_that_two_requests_of_httpx_share_tell_neither_of_the_other(
    installed: Install, trusted: Server, untrusted: Server
) -> None:
    installed(CLIENTS["httpx"])
    shared: dict[str, Any] = {}
    with httpx.Client(trust_env=False) as client:
        for server in (trusted, untrusted):
            receive()
            request = client.build_request("GET", f"{server.url}/shared")
            request.extensions = shared
            client.send(request)
    assert shared == {}
    assert_all(trusted.at("/shared"))
    assert_trace_only(untrusted.at("/shared"))


HAND_SET = {"Baggage": "mine=1", "X-Request-Id": "mine", "Traceparent": f"00-{'1' * 32}-{'2' * 16}-01"}


class TestHeadersSetByHand:
    """They stay as they are, wherever they go; what they break of the policy can be counted."""

    def test_they_stay_on_every_hop(
        self, client: Client, installed: Install, trusted: Server, untrusted: Server
    ) -> None:
        installed(client)
        call(client, f"{trusted.url}/to?{untrusted.url}/to?{trusted.url}/i", headers=dict(HAND_SET))
        for received in trusted.received + untrusted.received:
            assert received.texts("baggage") == ["mine=1"]
            assert received.texts("x-request-id") == ["mine"]
            assert len(received.texts("traceparent")) == 1

    def test_the_others_are_sent_beside_them(self, client: Client, installed: Install, trusted: Server) -> None:
        installed(client)
        call(client, f"{trusted.url}/to?{trusted.url}/j", headers={"X-Request-Id": "mine"})
        for received in trusted.received:
            assert received.texts("x-request-id") == ["mine"]
            assert "user_id=alice" in received.texts("baggage")[0]

    def test_those_that_no_rule_allows_are_counted_on_demand(
        self, client: Client, installed: Install, trusted: Server, untrusted: Server, caplog: pytest.LogCaptureFixture
    ) -> None:
        egress.replace(EgressPolicy((Rule((parse_pattern("127.0.0.2"),), frozenset({"request_id"})),), audit=True))
        installed(client)
        call(client, f"{trusted.url}/k", headers=dict(HAND_SET))
        call(client, f"{untrusted.url}/k", headers={"X-Request-Id": "mine", "baggage": "request_id=mine"})
        assert "egress.by_hand" not in counts()
        call(client, f"{untrusted.url}/k", headers=dict(HAND_SET))
        assert counts()["egress.by_hand"] == 1
        assert [record.getMessage() for record in caplog.records if "baggage" in record.getMessage()] == [
            "The application itself sends the header 'baggage' where no rule would let it go (egress.by_hand: 1 so far)"
        ]
