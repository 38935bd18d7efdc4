"""
Messages: their topic or exchange is the destination of who sends them, and the peer of who reads them.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from opentelemetry import baggage
from opentelemetry.context import attach
from opentelemetry.trace import Tracer, get_current_span

import otelctx
from otelctx import inject, request
from otelctx.core.reports import counts
from otelctx.propagation import egress, ingress
from otelctx.propagation.egress import EgressPolicy, Rule
from otelctx.propagation.ingress import Ingress
from otelctx.propagation.pattern import parse_pattern

SOURCES = ["kafka", "amqp"]


@pytest.fixture(autouse=True)
def _as_shipped() -> Iterator[None]:
    outbound, inbound = egress.replace(EgressPolicy()), ingress.replace(Ingress())
    yield
    egress.replace(outbound)
    ingress.replace(inbound)


def allow(*to: str, fields: frozenset[str] = frozenset({"*"})) -> None:
    egress.replace(EgressPolicy((Rule(tuple(map(parse_pattern, to)), fields, source="test"),)))


def sent(destination: str, tracer: Tracer) -> dict[str, str]:
    """Return the headers of a message that a request sends."""
    headers: dict[str, str] = {}
    with request(request_id="r1", user_id="alice"), tracer.start_as_current_span("send"):
        attach(baggage.set_baggage("colour", "red"))
        inject(headers, destination=destination)
    return headers


@pytest.mark.parametrize("scheme", SOURCES)
class TestSending:
    """A topic gets the trace alone until a rule names it: who reads it is not known from its name."""

    def test_with_nothing_configured_the_trace_goes_and_nothing_is_reported(self, scheme: str, tracer: Tracer) -> None:
        assert sent(f"{scheme}://orders", tracer).keys() == {"traceparent"}
        assert counts() == {}

    def test_what_a_rule_for_the_topic_names(self, scheme: str, tracer: Tracer) -> None:
        allow(f"{scheme}://orders", fields=frozenset({"user_id", "colour"}))
        assert set(sent(f"{scheme}://orders", tracer)["baggage"].split(",")) == {"user_id=alice", "colour=red"}
        assert sent(f"{scheme}://orders.dlq", tracer).keys() == {"traceparent"}
        assert sent(f"{scheme}://Orders", tracer).keys() == {"traceparent"}, "names of topics have a case"

    def test_all_topics(self, scheme: str, tracer: Tracer) -> None:
        allow(f"{scheme}://*")
        for topic in ("orders", "a.b_c-d"):
            assert sent(f"{scheme}://{topic}", tracer)["x-request-id"] == "r1"
        assert sent("https://orders.example", tracer).keys() == {"traceparent"}

    def test_a_host_of_that_name_is_something_else(self, scheme: str, tracer: Tracer) -> None:
        allow("orders", "orders.example")
        assert sent(f"{scheme}://orders", tracer).keys() == {"traceparent"}


@pytest.mark.parametrize("scheme", SOURCES)
def test_what_is_sent_is_believed_by_who_names_the_source(scheme: str, tracer: Tracer) -> None:
    allow(f"{scheme}://orders")
    headers = sent(f"{scheme}://orders", tracer)
    with request(carrier=headers, peer=f"{scheme}://orders"):
        assert (otelctx.get("user_id"), otelctx.get("request_id")) == ("alice", "r1")
        assert baggage.get_baggage("colour") == "red"
        assert format(get_current_span().get_span_context().trace_id, "032x") in headers["traceparent"]
    with request(carrier=headers):
        assert otelctx.get("user_id") is None, "from nobody knows whom"


def test_an_instrumentation_that_names_no_topic_sends_the_trace_and_is_named(
    tracer: Tracer, caplog: pytest.LogCaptureFixture
) -> None:
    """As those of OpenTelemetry for Kafka and AMQP do."""
    headers: dict[str, str] = {}
    with request(user_id="alice"), tracer.start_as_current_span("send"):
        inject(headers)
    assert headers.keys() == {"traceparent"}
    assert counts() == {"egress.unknown_destination": 1}
    assert caplog.records[0].getMessage().startswith(f"{__name__} sends without saying where to")
