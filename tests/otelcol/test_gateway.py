"""Two tiers: agents give each trace to one gateway, so that one decision is made of the whole of it."""

from __future__ import annotations

from collections import defaultdict

import pytest
from opentelemetry.trace import Status, StatusCode, set_span_in_context

from tests.otelcol.running import Site, await_that
from tests.otelcol.telemetry import sending_to

pytestmark = pytest.mark.collector

GATEWAY = ("base.yaml", "production.yaml", "gateway/gateway.yaml")
TRACES = 40


def test_each_trace_is_decided_by_one_gateway(site: Site):
    settings = {"OTELCOL_DECISION_WAIT": "2s", "OTELCOL_KEEP_PERCENT": "0"}
    backends = [site.backend(), site.backend()]
    gateways = [site.otelcol(*GATEWAY, backend=backend.grpc, settings=settings) for backend in backends]
    addresses = {"OTELCOL_GATEWAYS": str([f"{gateway.host}:4317" for gateway in gateways])}
    agents = [site.otelcol("base.yaml", "gateway/agent.yaml", settings=addresses) for _ in range(2)]

    # Each service is on another host, with an agent of its own, and only the inner one fails.
    with sending_to(agents[0].http, "outer") as outer, sending_to(agents[1].http, "inner") as inner:
        for _ in range(TRACES):
            around = outer.start_span("outer")
            failing = inner.start_span("inner", context=set_span_in_context(around))
            failing.set_status(Status(StatusCode.ERROR))
            failing.end()
            around.end()

    def arrived() -> int:
        return sum(len(backend.spans()) for backend in backends)

    await_that(lambda: arrived() >= 2 * TRACES, "the traces", check=site.check)
    places = defaultdict(list)
    for number, backend in enumerate(backends):
        for span in backend.spans():
            places[span["trace_id"]].append((number, span["service"]))
    assert len(places) == TRACES
    assert {tuple(sorted(service for _, service in spans)) for spans in places.values()} == {("inner", "outer")}
    assert {len({number for number, _ in spans}) for spans in places.values()} == {1}
    assert {number for spans in places.values() for number, _ in spans} == {0, 1}


def test_what_a_dead_gateway_had_to_get_comes_once_when_it_is_back(site: Site, binary: str):
    if binary.endswith("-of-image"):
        pytest.skip("a kill reaches the client of the container and not what runs in it")
    settings = {"OTELCOL_DECISION_WAIT": "1s", "OTELCOL_KEEP_PERCENT": "100"}
    backend = site.backend()
    gateways = [site.otelcol(*GATEWAY, backend=backend.grpc, settings=settings) for _ in range(2)]
    addresses = {"OTELCOL_GATEWAYS": str([f"{gateway.host}:4317" for gateway in gateways])}
    agent = site.otelcol("base.yaml", "gateway/agent.yaml", settings=addresses)
    dead = gateways[1]
    dead.process.popen.kill()
    dead.process.popen.wait()
    with sending_to(agent.http) as tracer:
        for _ in range(TRACES):
            tracer.start_span("one").end()
    site.otelcol(*GATEWAY, host=dead.host, backend=backend.grpc, settings=settings)

    def arrived() -> list[str]:
        return [span["trace_id"] for span in backend.spans()]

    await_that(lambda: len(set(arrived())) == TRACES, "all traces", check=backend.process.check)
    assert len(arrived()) == TRACES
