"""gRPC servers with OpenTelemetry's interceptors: the request of each call, and what is believed of whom."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from opentelemetry.instrumentation.grpc import _server as otel_server
from opentelemetry.instrumentation.grpc import aio_server_interceptor, server_interceptor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import otelctx
from otelctx import Field, declare
from otelctx.integrations import grpc_server
from otelctx.propagation import ingress
from otelctx.propagation.ingress import STRANGER, Ingress, Mode, Rule, Trust
from otelctx.propagation.peers import Peers

TRACE = "0af7651916cd43dd8448eb211c80319c"
Metadata = tuple[tuple[str, str | bytes], ...]
SENT: Metadata = (
    ("traceparent", f"00-{TRACE}-b7ad6b7169203331-01"),
    ("baggage", "user_id=mallory,colour=red"),
    ("baggage", "plan=gold"),
    ("x-request-id", "r1"),
    ("x-tenant", "acme"),
)
ALL = {"request_id": "r1", "user_id": "mallory", "tenant": "acme", "colour": "red", "plan": "gold"}
UNPATCHED = otel_server.OpenTelemetryServerInterceptor._set_remote_context
KINDS = ["threads", "asyncio"]
METHODS = ["/s/Unary", "/s/Stream"]

Ask = Callable[[str, Metadata], dict[str, Any]]


@pytest.fixture(autouse=True)
def _patched(spans: InMemorySpanExporter) -> Iterator[None]:
    declare(Field("tenant", remote=True, header="x-tenant"))
    patch = grpc_server.patch(otel_server)
    patch.install()
    yield
    patch.uninstall()


def _fields() -> bytes:
    return json.dumps(dict(otelctx.current())).encode()


class _Threads(grpc.GenericRpcHandler):
    def service(self, details: grpc.HandlerCallDetails) -> Any:
        if details.method.endswith("Unary"):
            return grpc.unary_unary_rpc_method_handler(lambda *_: _fields())
        return grpc.unary_stream_rpc_method_handler(lambda *_: iter([_fields()]))


class _Asyncio(grpc.GenericRpcHandler):
    def service(self, details: grpc.HandlerCallDetails) -> Any:
        async def unary(*_: Any) -> bytes:
            await asyncio.sleep(0)
            return _fields()

        async def stream(*_: Any) -> Any:
            await asyncio.sleep(0)
            yield _fields()

        if details.method.endswith("Unary"):
            return grpc.unary_unary_rpc_method_handler(unary)
        return grpc.unary_stream_rpc_method_handler(stream)


@contextmanager
def serving(kind: str, address: str) -> Iterator[Ask]:
    """A server of *kind* on *address*, and how to ask it."""
    if kind == "asyncio":
        with _serving_asyncio(address) as ask:
            yield ask
        return
    server = grpc.server(ThreadPoolExecutor(2), interceptors=[server_interceptor()])
    server.add_generic_rpc_handlers((_Threads(),))
    port = server.add_insecure_port(address)
    server.start()
    try:
        yield lambda method, metadata: _asked(address.replace(":0", f":{port}"), method, metadata)
    finally:
        server.stop(None).wait()


@contextmanager
def _serving_asyncio(address: str) -> Iterator[Ask]:
    def asked(method: str, metadata: Metadata) -> dict[str, Any]:
        async def run() -> dict[str, Any]:
            server = grpc.aio.server(interceptors=[aio_server_interceptor()])
            server.add_generic_rpc_handlers((_Asyncio(),))
            port = server.add_insecure_port(address)
            await server.start()
            try:
                return await asyncio.to_thread(_asked, address.replace(":0", f":{port}"), method, metadata)
            finally:
                await server.stop(None)

        return asyncio.run(run())

    yield asked


def _asked(target: str, method: str, metadata: Metadata) -> dict[str, Any]:
    with grpc.insecure_channel(target) as channel:
        if method.endswith("Unary"):
            answer = channel.unary_unary(method)(b"", metadata=metadata, timeout=30, wait_for_ready=True)
        else:
            (answer,) = channel.unary_stream(method)(b"", metadata=metadata, timeout=30, wait_for_ready=True)
    return dict(json.loads(answer))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", KINDS)
class TestPeers:
    @pytest.mark.parametrize("address", ["127.0.0.1:0", "[::1]:0", "unix"])
    def test_from_this_machine_all_is_adopted(
        self, spans: InMemorySpanExporter, tmp_path: Path, kind: str, method: str, address: str
    ) -> None:
        with serving(kind, f"unix:{tmp_path}/s" if address == "unix" else address) as ask:
            assert ask(method, SENT) == ALL
        (span,) = spans.get_finished_spans()
        assert f"{span.context.trace_id:032x}" == TRACE
        assert (span.attributes or {})["user.id"] == "mallory"

    @pytest.mark.parametrize(("address", "pattern"), [("127.0.0.1:0", "127.0.0.1"), ("[::1]:0", "::1")])
    def test_of_a_stranger_the_request_id(
        self, spans: InMemorySpanExporter, kind: str, method: str, address: str, pattern: str
    ) -> None:
        ingress.replace(Ingress([Rule(Peers([pattern]), STRANGER)]))
        with serving(kind, address) as ask:
            assert ask(method, SENT) == {"request_id": "r1"}
        (span,) = spans.get_finished_spans()
        assert "mallory" not in str(span.to_json())

    def test_what_metadata_claims_about_the_peer_means_nothing(self, kind: str, method: str) -> None:
        ingress.replace(Ingress([Rule(Peers(["127.0.0.1"]), STRANGER)]))
        claims: Metadata = (
            ("x-forwarded-for", "10.0.0.1"),
            ("peer", "unix"),
            ("remote_addr", "::1"),
            ("client", "::1"),
        )
        with serving(kind, "127.0.0.1:0") as ask:
            assert ask(method, (*SENT, *claims)) == {"request_id": "r1"}

    def test_restart_links_the_old_trace(self, spans: InMemorySpanExporter, kind: str, method: str) -> None:
        ingress.replace(Ingress([Rule(Peers(["*"]), Trust(Mode.RESTART, Mode.RESTART))]))
        with serving(kind, "127.0.0.1:0") as ask:
            assert set(ask(method, SENT)) == {"request_id"}
        (span,) = spans.get_finished_spans()
        assert [f"{link.context.trace_id:032x}" for link in span.links] == [TRACE]
        assert span.parent is None
        assert (span.attributes or {})["otelctx.request_id.received"] == "r1"


@pytest.mark.parametrize("kind", KINDS)
class TestMetadata:
    def test_two_ids_are_nobodys_clear_word(self, kind: str) -> None:
        with serving(kind, "127.0.0.1:0") as ask:
            found = ask("/s/Unary", (("x-request-id", "one"), ("x-request-id", "two")))
        assert len(found["request_id"]) == 36

    def test_binary_values_are_nothing_that_a_propagator_has_written(self, kind: str) -> None:
        declare(Field("blob", remote=True, header="blob-bin"))
        with serving(kind, "127.0.0.1:0") as ask:
            found = ask(
                "/s/Unary",
                (("x-request-id-bin", b"r1"), ("baggage-bin", b"user_id=mallory"), ("blob-bin", b"\xff"), SENT[0]),
            )
        assert set(found) == {"request_id"}
        assert found["request_id"] != "r1"

    def test_no_request_is_left_on_the_servers_threads(self, kind: str) -> None:
        with serving(kind, "127.0.0.1:0") as ask:
            ids = {ask("/s/Unary", ())["request_id"] for _ in range(10)}
        assert len(ids) == 10

    def test_an_invalid_id_is_replaced(self, kind: str) -> None:
        with serving(kind, "127.0.0.1:0") as ask:
            assert len(ask("/s/Unary", (("x-request-id", "a b"),))["request_id"]) == 36


def test_without_the_private_method_every_caller_is_a_stranger(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(otel_server.OpenTelemetryServerInterceptor, "_set_remote_context", UNPATCHED)
    with serving("threads", "127.0.0.1:0") as ask:
        assert ask("/s/Unary", SENT) == {"request_id": "r1"}


class _ByHand(grpc.GenericRpcHandler):
    def service(self, details: grpc.HandlerCallDetails) -> Any:
        def unary(_: bytes, context: grpc.ServicerContext) -> bytes:
            carrier = {key: value for key, value in context.invocation_metadata() if isinstance(value, str)}
            with otelctx.request(carrier=carrier, peer=context.peer()):
                return _fields()

        return grpc.unary_unary_rpc_method_handler(unary)


@pytest.mark.parametrize(("strangers", "expected"), [([], "u"), (["127.0.0.1"], None)])
def test_without_an_interceptor_a_servicer_says_who_its_caller_is(strangers: list[str], expected: str | None) -> None:
    ingress.replace(Ingress([Rule(Peers(strangers), STRANGER)]))
    server = grpc.server(ThreadPoolExecutor(1), handlers=(_ByHand(),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        found = _asked(f"127.0.0.1:{port}", "/s/Unary", (("baggage", "user_id=u"), ("x-request-id", "r1")))
    finally:
        server.stop(None).wait()
    assert (found["request_id"], found.get("user_id")) == ("r1", expected)
