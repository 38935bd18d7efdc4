"""
What arrives at a server of a request that a client makes: all of it, or the trace alone.
"""

from __future__ import annotations

from typing import Final

from opentelemetry.context import attach

import otelctx
from tests.clients.server import Received

TRACE: Final = "0af7651916cd43dd8448eb211c80319c"
SAMPLED: Final = {
    "traceparent": f"00-{TRACE}-b7ad6b7169203331-01",
    "baggage": "user_id=alice,colour=red",
    "x-request-id": "r1",
}
NOT_SAMPLED: Final = {**SAMPLED, "traceparent": f"00-{TRACE}-b7ad6b7169203331-00"}


def receive(**incoming: str) -> None:
    """Go on in the request that *incoming* headers, else `SAMPLED` ones, bring."""
    attach(otelctx.extract(incoming or SAMPLED, peer="127.0.0.1"))


def assert_all(received: Received) -> None:
    (trace,) = received.texts("traceparent")
    assert trace.split("-")[1] == TRACE
    assert received.texts("x-request-id") == ["r1"]
    (members,) = received.texts("baggage")
    assert set(members.split(",")) == {"user_id=alice", "colour=red", "request_id=r1"}


def assert_trace_only(received: Received) -> None:
    (trace,) = received.texts("traceparent")
    assert trace.split("-")[1] == TRACE
    assert_no_field(received)


def assert_no_field(received: Received) -> None:
    assert received.texts("baggage") + received.texts("x-request-id") == []
    assert not {"alice", "red", "r1"} & {
        part for _, text in received.headers for part in text.replace("=", ",").split(",")
    }
