"""A trusted and an untrusted server on this machine, and a request to call them from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from opentelemetry.propagate import get_global_textmap, set_global_textmap
from opentelemetry.sdk.trace import TracerProvider

from otelctx.propagation import egress
from otelctx.propagation.egress import NOTHING, EgressPolicy, Rule
from otelctx.propagation.pattern import parse_pattern
from otelctx.propagation.propagator import OtelctxPropagator
from otelctx.setup import gates
from tests.clients.clients import Instrumented
from tests.clients.server import Server, serving

ORDERS = ["no instrumentor", "instrumentor before", "instrumentor after"]


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[Server, Server]]:
    with serving("127.0.0.1") as trusted, serving("127.0.0.2") as untrusted:
        yield trusted, untrusted


@pytest.fixture
def trusted(servers: tuple[Server, Server]) -> Server:
    servers[0].received.clear()
    return servers[0]


@pytest.fixture
def untrusted(servers: tuple[Server, Server]) -> Server:
    servers[1].received.clear()
    return servers[1]


@pytest.fixture(autouse=True)
def _policy() -> Iterator[None]:
    """Trust this machine but for one of its addresses, which stands for everybody else."""
    before = egress.replace(EgressPolicy((Rule((parse_pattern("127.0.0.2"),), NOTHING, source="test"),)))
    propagator = get_global_textmap()
    set_global_textmap(OtelctxPropagator())
    yield
    set_global_textmap(propagator)
    egress.replace(before)


@pytest.fixture(params=ORDERS)
def installed(request: pytest.FixtureRequest) -> Iterator[Callable[[Instrumented], Any]]:
    """Install the gates, and OpenTelemetry's instrumentation of a client not at all, before or after them."""
    instrumentors: list[Any] = []
    provider = TracerProvider(shutdown_on_exit=False)

    def install(client: Instrumented) -> Any:
        if request.param == "instrumentor before":
            instrumentors.append(client.instrument(tracer_provider=provider))
        gates.install()
        if request.param == "instrumentor after":
            instrumentors.append(client.instrument(tracer_provider=provider))
        return request.param

    yield install
    for instrumentor in instrumentors:
        instrumentor.uninstrument()
    gates.uninstall()
