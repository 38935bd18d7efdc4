"""
botocore's clients: what they send to a trusted and to an untrusted endpoint.

They follow no redirect to another host, so there is none to test.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import botocore.session
import pytest
from botocore.config import Config
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

from otelctx.core.reports import counts
from otelctx.propagation import egress
from otelctx.propagation.egress import NOTHING, EgressPolicy, Rule
from otelctx.propagation.pattern import parse_pattern
from tests.clients.arrived import NOT_SAMPLED, assert_all, assert_no_field, assert_trace_only, receive
from tests.clients.clients import Instrumented
from tests.clients.server import Server, tunnelling

Install = Callable[[Instrumented], Any]

BOTOCORE = Instrumented("botocore:BotocoreInstrumentor")
XRAY = "x-amzn-trace-id"


@cache
def _session() -> Any:
    session = botocore.session.get_session()
    session.set_credentials("key", "secret")
    return session


def client(service: str, url: str, proxy: str | None = None, headers: Mapping[str, str] | None = None) -> Any:
    """Return a client that tries again at once, and sets *headers* where code does that: before it sends."""
    config = Config(proxies={"http": proxy, "https": proxy} if proxy else None, s3={"addressing_style": "path"})
    made = _session().create_client(service, region_name="eu-west-1", endpoint_url=url, config=config)
    made.meta.events.register_first(f"needs-retry.{service}", _at_once)
    made.meta.events.register("before-send", lambda request, **_: request.headers.update(headers or {}))
    return made


def _at_once(response: Any, **_: Any) -> int | None:
    """Return after how many seconds it is tried again, or None if botocore is to say."""
    return 0 if response is not None and response[0].status_code == 503 else None


def get(url: str, proxy: str | None = None, headers: Mapping[str, str] | None = None, **incoming: str) -> None:
    receive(**incoming)
    client("s3", url, proxy, headers).get_object(Bucket="b", Key="k")["Body"].read()


class TestWhatIsSent:
    """Each endpoint gets what may go to it, at each attempt."""

    def test_trusted_and_untrusted(self, installed: Install, trusted: Server, untrusted: Server) -> None:
        installed(BOTOCORE)
        get(trusted.url)
        get(untrusted.url)
        assert_all(trusted.at("/b/k"))
        assert_trace_only(untrusted.at("/b/k"))
        assert counts() == {}

    def test_each_retry(self, installed: Install, trusted: Server, untrusted: Server) -> None:
        installed(BOTOCORE)
        for server in (trusted, untrusted):
            server.refusals["/b/k"] = 2
            get(server.url)
        assert len(trusted.received) == len(untrusted.received) == 3
        for received in trusted.received:
            assert_all(received)
        for received in untrusted.received:
            assert_trace_only(received)

    def test_the_target_counts_and_not_the_proxy(self, installed: Install, trusted: Server, untrusted: Server) -> None:
        installed(BOTOCORE)
        get(untrusted.url, proxy=trusted.url)
        assert_trace_only(untrusted.at("/b/k"))
        get(trusted.url, proxy=untrusted.url)
        assert_all(trusted.at("/b/k"))

    def test_the_target_counts_and_not_the_proxy_that_tunnels_to_it(
        self, installed: Install, over_tls: tuple[Server, Server]
    ) -> None:
        trusted, untrusted = over_tls
        installed(BOTOCORE)
        with tunnelling("127.0.0.1") as near, tunnelling("127.0.0.2") as far:
            get(untrusted.url, proxy=near.url)
            get(trusted.url, proxy=far.url)
            for tunnel in near.received + far.received:
                assert_no_field(tunnel)
        assert_trace_only(untrusted.at("/b/k"))
        assert_all(trusted.at("/b/k"))

    def test_a_request_that_is_not_sampled(self, installed: Install, trusted: Server, untrusted: Server) -> None:
        installed(BOTOCORE)
        get(trusted.url, **NOT_SAMPLED)
        get(untrusted.url, **NOT_SAMPLED)
        assert_all(trusted.at("/b/k"))
        assert_trace_only(untrusted.at("/b/k"))

    def test_where_no_trace_may_go_there_is_none_in_x_ray_s_format_either(
        self, installed: Install, untrusted: Server
    ) -> None:
        order = installed(BOTOCORE)
        get(untrusted.url)
        assert len(untrusted.at("/b/k").texts(XRAY)) == (0 if order == "no instrumentor" else 1)
        untrusted.forget()
        egress.replace(EgressPolicy((Rule((parse_pattern("127.0.0.2"),), NOTHING, trace=False),)))
        get(untrusted.url)
        received = untrusted.at("/b/k")
        assert received.texts("traceparent") + received.texts(XRAY) == []
        assert_no_field(received)

    def test_the_signature_is_the_same_with_and_without_a_gate(self, installed: Install, trusted: Server) -> None:
        installed(BOTOCORE)
        get(trusted.url)
        (signature,) = trusted.at("/b/k").texts("authorization")
        assert "baggage" not in signature
        assert "x-request-id" not in signature


class TestHeadersSetByHand:
    """They stay; what they break of the policy can be counted."""

    def test_they_stay_and_are_counted_on_demand(self, installed: Install, trusted: Server, untrusted: Server) -> None:
        egress.replace(EgressPolicy((Rule((parse_pattern("127.0.0.2"),), NOTHING),), audit=True))
        installed(BOTOCORE)
        by_hand = {"Baggage": "mine=1", "X-Request-Id": "mine"}
        get(trusted.url, headers=by_hand)
        assert "egress.by_hand" not in counts()
        get(untrusted.url, headers=by_hand)
        for server in (trusted, untrusted):
            assert server.at("/b/k").texts("baggage") == ["mine=1"]
            assert server.at("/b/k").texts("x-request-id") == ["mine"]
        assert counts()["egress.by_hand"] == 2


class TestMessages:
    """In a message of a queue there is the trace alone: its reader is not the host that it is sent to."""

    def test_no_field_is_in_a_message(
        self, installed: Install, trusted: Server, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        installed(BOTOCORE)
        monkeypatch.setattr(trace, "_TRACER_PROVIDER", TracerProvider(shutdown_on_exit=False))
        receive()
        sqs = client("sqs", trusted.url)
        sqs.meta.events.register("before-parse", lambda response_dict, **_: response_dict.update(body=b"{}"))
        sqs.send_message(QueueUrl=f"{trusted.url}/1/orders", MessageBody="{}")
        (received,) = trusted.received
        assert_all(received)
        assert b"alice" not in received.body
        assert b"red" not in received.body
