"""
Peers that speak B3, Jaeger's or X-Ray's format, with OpenTelemetry's propagator for it beside ours, and without ours.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
from opentelemetry.context import Context
from opentelemetry.propagators.aws import AwsXRayPropagator
from opentelemetry.propagators.b3 import B3MultiFormat, B3SingleFormat
from opentelemetry.propagators.jaeger import JaegerPropagator
from opentelemetry.propagators.textmap import TextMapPropagator
from opentelemetry.trace import get_current_span

import otelctx
from otelctx import Field, declare, request
from otelctx.core.reports import counts
from otelctx.core.state import layer_in
from otelctx.propagation.beside import RequestOpening
from otelctx.propagation.peers import with_peer
from otelctx.propagation.propagator import OtelctxPropagator

TRACE = 0x0AF7651916CD43DD8448EB211C80319C
SPAN = 0x00F067AA0BA902B7
OTHER_TRACE = "00-11111111111111111111111111111111-2222222222222222-01"

FORMATS = {
    "b3multi": (
        B3MultiFormat,
        {"x-b3-traceid": f"{TRACE:032x}", "x-b3-spanid": f"{SPAN:016x}", "x-b3-sampled": "1"},
    ),
    "b3": (B3SingleFormat, {"b3": f"{TRACE:032x}-{SPAN:016x}-1"}),
    "jaeger": (JaegerPropagator, {"uber-trace-id": f"{TRACE:x}:{SPAN:x}:0:1"}),
    "xray": (
        AwsXRayPropagator,
        {"X-Amzn-Trace-Id": f"Root=1-{TRACE >> 96:08x}-{TRACE & (1 << 96) - 1:024x};Parent={SPAN:016x};Sampled=1"},
    ),
}


@pytest.fixture(params=FORMATS)
def spoken(request: pytest.FixtureRequest) -> tuple[Callable[[], TextMapPropagator], dict[str, str]]:
    return FORMATS[request.param]


Spoken = tuple[Callable[[], TextMapPropagator], dict[str, str]]


def read(propagator: TextMapPropagator, carrier: dict[str, str]) -> tuple[int, int, dict[str, object]]:
    context = propagator.extract(carrier, with_peer(Context(), "unix"))
    span = get_current_span(context).get_span_context()
    layer = layer_in(context)
    assert layer is not None
    return span.trace_id, span.span_id, layer.visible()


def written(propagator: TextMapPropagator, carrier: dict[str, str]) -> dict[str, str]:
    headers: dict[str, str] = {}
    propagator.inject(headers, propagator.extract(carrier, with_peer(Context(), "unix")))
    return headers


class TestBesideOurs:
    """Both formats are read and written; fields come in ours."""

    def test_the_trace_is_read_from_their_headers_and_the_fields_from_ours(self, spoken: Spoken) -> None:
        theirs, carrier = spoken
        fields = {"baggage": "user_id=alice", "x-request-id": "r1"}
        trace_id, span_id, values = read(OtelctxPropagator(theirs()), {**carrier, **fields})
        assert (trace_id, span_id) == (TRACE, SPAN)
        assert values == {"user_id": "alice", "request_id": "r1"}

    def test_of_two_traces_that_of_w3c_counts(self, spoken: Spoken) -> None:
        theirs, carrier = spoken
        trace_id, _, _ = read(OtelctxPropagator(theirs()), {**carrier, "traceparent": OTHER_TRACE})
        assert f"{trace_id:032x}" == "1" * 32

    def test_both_are_written_and_each_peer_reads_its_own(self, spoken: Spoken) -> None:
        theirs, carrier = spoken
        headers = written(OtelctxPropagator(theirs()), {**carrier, "baggage": "user_id=a%20b", "x-request-id": "r1"})
        assert headers.keys() >= {"traceparent", "baggage", "x-request-id"}
        assert read(OtelctxPropagator(), headers) == (TRACE, SPAN, {"user_id": "a b", "request_id": "r1"})
        again = get_current_span(theirs().extract(headers)).get_span_context()
        assert (again.trace_id, again.span_id) == (TRACE, SPAN)

    def test_broken_headers_of_theirs_leave_ours(self, spoken: Spoken) -> None:
        theirs, carrier = spoken
        broken = dict.fromkeys(carrier, "\0broken:::;;;")
        assert read(OtelctxPropagator(theirs()), {**broken, "x-request-id": "r1"}) == (0, 0, {"request_id": "r1"})


class TestAlone:
    """Their format is kept exactly, and a request is opened all the same."""

    def test_the_request_has_their_trace_and_the_headers_of_fields(self, spoken: Spoken) -> None:
        theirs, carrier = spoken
        trace_id, span_id, values = read(RequestOpening(theirs()), {**carrier, "x-request-id": "r1"})
        assert (trace_id, span_id, values) == (TRACE, SPAN, {"request_id": "r1"})

    def test_nothing_but_their_headers_is_written(self, spoken: Spoken) -> None:
        theirs, carrier = spoken
        headers = written(RequestOpening(theirs()), carrier)
        expected: dict[str, str] = {}
        theirs().inject(expected, theirs().extract(carrier))
        for header, value in expected.items():
            assert headers.pop(header) == value
        assert {header for header in headers if not header.startswith("uberctx-")} == set()


class TestJaegersBaggage:
    """``uberctx-…`` headers are baggage: read by the same rules, with the same fields."""

    CARRIER = FORMATS["jaeger"][1]

    @pytest.mark.parametrize("propagator", [OtelctxPropagator(JaegerPropagator()), RequestOpening(JaegerPropagator())])
    def test_it_becomes_fields_as_they_are_declared(self, propagator: TextMapPropagator) -> None:
        declare(Field("n", type=int, remote=True), Field("is_admin", type=bool))
        carrier = {**self.CARRIER, "uberctx-user_id": "a%20b", "uberctx-n": "many", "uberctx-is_admin": "true"}
        _, _, values = read(propagator, {**carrier, "x-request-id": "r1"})
        assert values == {"user_id": "a b", "request_id": "r1"}

    @pytest.mark.parametrize("propagator", [OtelctxPropagator(JaegerPropagator()), RequestOpening(JaegerPropagator())])
    def test_a_stranger_is_believed_no_more_than_in_our_format(self, propagator: TextMapPropagator) -> None:
        carrier = {**self.CARRIER, "uberctx-user_id": "admin", "uberctx-request_id": "r1"}
        context = propagator.extract(carrier, with_peer(Context(), "203.0.113.9"))
        layer = layer_in(context)
        assert layer is not None
        assert layer.visible() == {"request_id": "r1"}

    @pytest.mark.parametrize("propagator", [OtelctxPropagator(JaegerPropagator()), RequestOpening(JaegerPropagator())])
    def test_what_is_redacted_on_the_wire_is_redacted_in_every_format(self, propagator: TextMapPropagator) -> None:
        declare(Field("user_id", remote=True, redact={"wire": "mask"}), Field("step"))
        headers: dict[str, str] = {}
        with request(peer="unix", carrier={"traceparent": OTHER_TRACE}):
            otelctx.set(user_id="alice", step="secret")
            propagator.inject(headers)
        assert headers["uber-trace-id"]
        assert not any("alice" in value or "secret" in value for value in headers.values())

    @pytest.mark.parametrize("propagator", [OtelctxPropagator(JaegerPropagator()), RequestOpening(JaegerPropagator())])
    def test_the_header_for_requests_made_by_hand_is_read_too(self, propagator: TextMapPropagator) -> None:
        """``jaeger-baggage: k1=v1, k2=v2``; a member of a header of its own counts more."""
        declare(Field("n", type=int, remote=True))
        by_hand = {"jaeger-baggage": "user_id=a%20b, n=5 ,, bad member"}
        assert read(propagator, {**self.CARRIER, **by_hand})[2].items() >= {"user_id": "a b", "n": 5}.items()
        assert counts()["baggage.bad_member"] == 1
        both = {**self.CARRIER, **by_hand, "uberctx-user_id": "alice"}
        assert read(propagator, both)[2]["user_id"] == "alice"

    @pytest.mark.parametrize("propagator", [OtelctxPropagator(JaegerPropagator()), RequestOpening(JaegerPropagator())])
    def test_that_header_is_believed_no_more_than_ours(self, propagator: TextMapPropagator) -> None:
        context = propagator.extract(
            {"jaeger-baggage": "user_id=admin, request_id=r1"}, with_peer(Context(), "203.0.113.9")
        )
        layer = layer_in(context)
        assert layer is not None
        assert layer.visible() == {"request_id": "r1"}
        assert counts()["ingress.refused.user_id"] == 1

    @pytest.mark.parametrize("propagator", [OtelctxPropagator(), RequestOpening(B3MultiFormat())])
    def test_that_header_means_nothing_without_jaeger_s_propagator(self, propagator: TextMapPropagator) -> None:
        assert "user_id" not in read(propagator, {"jaeger-baggage": "user_id=alice"})[2]

    def test_it_is_written_too(self) -> None:
        headers = written(OtelctxPropagator(JaegerPropagator()), {**self.CARRIER, "uberctx-user_id": "alice"})
        assert headers["uberctx-user_id"] == "alice"
        assert "user_id=alice" in headers["baggage"]


@pytest.mark.parametrize("configured", ["otelctx,b3multi,jaeger,xray", "xray,jaeger,b3multi,otelctx", "b3multi"])
def test_named_in_the_environment_they_work_together(configured: str, tmp_path: Path) -> None:
    script = """
    import json, sys
    from otelctx.setup import install
    install.install()
    import otelctx
    from opentelemetry.trace import get_current_span
    headers = {}
    with otelctx.request(peer="unix", carrier=json.loads(sys.argv[1])):
        otelctx.inject(headers, destination="http://orders")
        print(json.dumps([get_current_span().get_span_context().trace_id, otelctx.get("user_id"), sorted(headers)]))
    """
    carrier = {**FORMATS["b3multi"][1], "baggage": "user_id=alice"}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), json.dumps(carrier)],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
        cwd=tmp_path,
        env={**os.environ, "OTEL_PROPAGATORS": configured},
    )
    trace_id, user_id, sent = json.loads(done.stdout.splitlines()[-1])
    assert trace_id == TRACE
    assert {"x-b3-traceid", "x-b3-spanid"} <= set(sent)
    if "otelctx" in configured:
        assert user_id == "alice"
        assert {"traceparent", "baggage", "x-request-id", "uber-trace-id", "X-Amzn-Trace-Id"} <= set(sent)
