"""A trusted and an untrusted server on this machine, and a request to call them from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.propagate import get_global_textmap, set_global_textmap
from opentelemetry.sdk.trace import TracerProvider
from trustme import CA

from otelctx.propagation import egress
from otelctx.propagation.egress import NOTHING, EgressPolicy, Rule
from otelctx.propagation.pattern import parse_pattern
from otelctx.propagation.propagator import OtelctxPropagator
from otelctx.setup import gates
from tests.clients.clients import Instrumented
from tests.clients.server import Server, serving, serving_http2

TRUSTED, UNTRUSTED = "127.0.0.1", "127.0.0.2"
ORDERS = ["no instrumentor", "instrumentor before", "instrumentor after"]


Pair = tuple[Server, Server]


@pytest.fixture(scope="module")
def over_http1() -> Iterator[Pair]:
    with serving(TRUSTED) as trusted, serving(UNTRUSTED) as untrusted:
        yield trusted, untrusted


@pytest.fixture(scope="module")
def over_http2() -> Iterator[Pair]:
    with serving_http2(TRUSTED) as trusted, serving_http2(UNTRUSTED) as untrusted:
        yield trusted, untrusted


@pytest.fixture
def over_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pair]:
    """Both over TLS, with certificates that every client takes for good."""
    authority = CA()
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    authority.issue_cert(TRUSTED, UNTRUSTED).private_key_and_cert_chain_pem.write_to_path(tmp_path / "certificate.pem")
    for variable in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "AWS_CA_BUNDLE"):
        monkeypatch.setenv(variable, str(tmp_path / "authority.pem"))
    certificate = tmp_path / "certificate.pem"
    with serving(TRUSTED, certificate) as trusted, serving(UNTRUSTED, certificate) as untrusted:
        yield trusted, untrusted


@pytest.fixture
def servers(request: pytest.FixtureRequest) -> Pair:
    client = request.getfixturevalue("client") if "client" in request.fixturenames else None
    pair: Pair = request.getfixturevalue("over_http2" if client is not None and client.is_http2 else "over_http1")
    return pair


@pytest.fixture
def trusted(servers: Pair) -> Server:
    return servers[0].forget()


@pytest.fixture
def untrusted(servers: Pair) -> Server:
    return servers[1].forget()


@pytest.fixture(autouse=True)
def _policy() -> Iterator[None]:
    """Trust this machine but for one of its addresses, which stands for everybody else."""
    before = egress.replace(EgressPolicy((Rule((parse_pattern(UNTRUSTED),), NOTHING, source="test"),)))
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
