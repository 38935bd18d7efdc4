"""gRPC's gates: what each kind of call sends to a trusted and an untrusted server, in every order of installation."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import grpc
import grpc.aio
import grpc.experimental
import pytest
from trustme import CA

from otelctx import Field, declare
from otelctx.core.reports import counts
from otelctx.integrations.grpc import destination_of
from otelctx.propagation import egress
from otelctx.propagation.egress import ALL, NOTHING, EgressPolicy, Rule
from otelctx.propagation.pattern import parse_pattern
from tests.clients.arrived import NOT_SAMPLED, SAMPLED, assert_all, assert_no_field, assert_trace_only, receive
from tests.clients.clients import Instrumented
from tests.clients.grpc_server import serving_grpc
from tests.clients.server import Server, tunnelling

Metadata = tuple[tuple[str, str | bytes], ...] | None
Options = tuple[tuple[str, Any], ...]
Install = Callable[[Instrumented], Any]

KINDS = ("unary_unary", "unary_stream", "stream_unary", "stream_stream")
RETRY = {
    "methodConfig": [
        {
            "name": [{}],
            "retryPolicy": {
                "maxAttempts": 4,
                "initialBackoff": "0.01s",
                "maxBackoff": "0.01s",
                "backoffMultiplier": 1,
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        }
    ]
}


@pytest.fixture
def servers() -> Iterator[tuple[Server, Server]]:
    with serving_grpc("127.0.0.1") as trusted, serving_grpc("127.0.0.2") as untrusted:
        yield trusted, untrusted


@dataclass(frozen=True)
class Way(Instrumented):
    """One way to make a call."""

    call: Callable[[str, Metadata, Options], None]


THREADS, ASYNCIO = "grpc:GrpcInstrumentorClient", "grpc:GrpcAioInstrumentorClient"


def _way(kind: str, use: Callable[[Any, dict[str, Any]], Any]) -> Way:
    def call(target: str, metadata: Metadata, options: Options) -> None:
        with grpc.insecure_channel(target, options) as channel:
            use(getattr(channel, kind)(f"/s/{kind}"), {"metadata": metadata, "timeout": 30})

    return Way(THREADS, call)


def _aio_way(kind: str) -> Way:
    def call(target: str, metadata: Metadata, options: Options) -> None:
        async def run() -> None:
            async with grpc.aio.insecure_channel(target, options) as channel:
                request = iter([b""]) if kind.startswith("stream") else b""
                answer = getattr(channel, kind)(f"/s/{kind}")(request, metadata=metadata, timeout=30)
                if kind.endswith("unary"):
                    await answer
                else:
                    assert [part async for part in answer] == [b"ok"]

        asyncio.run(run())

    return Way(ASYNCIO, call)


def by_threads(target: str, credentials: grpc.ChannelCredentials) -> None:
    with grpc.secure_channel(target, credentials) as channel:
        channel.unary_unary("/s/unary_unary")(b"", timeout=30)


def by_asyncio(target: str, credentials: grpc.ChannelCredentials) -> None:
    async def run() -> None:
        async with grpc.aio.secure_channel(target, credentials) as channel:
            await channel.unary_unary("/s/unary_unary")(b"", timeout=30)

    asyncio.run(run())


def _single_threaded(target: str, metadata: Metadata, options: Options) -> None:
    options = (*options, (grpc.experimental.ChannelOptions.SingleThreadedUnaryStream, 1))
    with grpc.insecure_channel(target, options) as channel:
        list(channel.unary_stream("/s/unary_stream")(b"", metadata=metadata, timeout=30))


WAYS = {
    "unary": _way("unary_unary", lambda ask, rest: ask(b"", **rest)),
    "unary, by position": _way("unary_unary", lambda ask, rest: ask(b"", rest["timeout"], rest["metadata"])),
    "unary, with_call": _way("unary_unary", lambda ask, rest: ask.with_call(request=b"", **rest)),
    "unary, future": _way("unary_unary", lambda ask, rest: ask.future(b"", **rest).result()),
    "unary stream": _way("unary_stream", lambda ask, rest: list(ask(request=b"", **rest))),
    "unary stream, single-threaded": Way(THREADS, _single_threaded),
    "stream unary": _way("stream_unary", lambda ask, rest: ask(request_iterator=iter([b""]), **rest)),
    "stream unary, future": _way("stream_unary", lambda ask, rest: ask.future(iter([b""]), **rest).result()),
    "stream stream": _way("stream_stream", lambda ask, rest: list(ask(request_iterator=iter([b""]), **rest))),
    **{f"asyncio, {kind}": _aio_way(kind) for kind in KINDS},
}
ONE_OF_EACH = pytest.mark.parametrize("way", [WAYS["unary"], WAYS["asyncio, unary_unary"]], ids=["threads", "asyncio"])


def call(way: Way, target: str, metadata: Metadata = None, options: Options = (), **incoming: str) -> None:
    """Make a call in the request that *incoming* headers, else `SAMPLED` ones, bring."""
    receive(**incoming)
    way.call(target, metadata, options)


def assert_each_has_all(server: Server, attempts: int = 1) -> None:
    assert len(server.received) == attempts
    for received in server.received:
        assert_all(received)


def assert_each_has_the_trace_only(server: Server, attempts: int = 1) -> None:
    assert len(server.received) == attempts
    for received in server.received:
        assert_trace_only(received)


class TestWhatIsSent:
    """Each server gets what may go to it."""

    @pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
    def test_trusted_and_untrusted(self, way: Way, installed: Install, servers: tuple[Server, Server]) -> None:
        installed(way)
        for server in servers:
            call(way, server.url)
        assert_each_has_all(servers[0])
        assert_each_has_the_trace_only(servers[1])
        assert counts() == {}

    @ONE_OF_EACH
    def test_each_attempt_of_a_retry(self, way: Way, installed: Install, servers: tuple[Server, Server]) -> None:
        installed(way)
        for server in servers:
            server.refusals = dict.fromkeys((f"/s/{kind}" for kind in KINDS), 2)
            call(way, server.url, options=(("grpc.service_config", json.dumps(RETRY)),))
        assert_each_has_all(servers[0], attempts=3)
        assert_each_has_the_trace_only(servers[1], attempts=3)

    @ONE_OF_EACH
    def test_the_target_counts_and_not_the_proxy(
        self, way: Way, installed: Install, servers: tuple[Server, Server]
    ) -> None:
        installed(way)
        trusted, untrusted = servers
        with tunnelling("127.0.0.1") as near, tunnelling("127.0.0.2") as far:
            call(way, untrusted.url, options=(("grpc.http_proxy", near.url),))
            call(way, trusted.url, options=(("grpc.http_proxy", far.url),))
            assert [told.path for told in near.received + far.received] == [untrusted.url, trusted.url]
            for told in near.received + far.received:
                assert_no_field(told)
        assert_each_has_all(trusted)
        assert_each_has_the_trace_only(untrusted)

    @ONE_OF_EACH
    def test_a_request_that_is_not_sampled(self, way: Way, installed: Install, servers: tuple[Server, Server]) -> None:
        installed(way)
        for server in servers:
            call(way, server.url, **NOT_SAMPLED)
        assert_each_has_all(servers[0])
        assert_each_has_the_trace_only(servers[1])
        assert {server.received[0].texts("traceparent")[0][-2:] for server in servers} == {"00"}

    @ONE_OF_EACH
    def test_where_no_trace_may_go_there_is_nothing(
        self, way: Way, installed: Install, servers: tuple[Server, Server]
    ) -> None:
        egress.replace(EgressPolicy((Rule((parse_pattern("127.0.0.2"),), NOTHING, trace=False),)))
        installed(way)
        call(way, servers[1].url)
        assert servers[1].received[0].texts("traceparent") == []
        assert_no_field(servers[1].received[0])


class TestSecureChannels:
    """Over TLS, with a credential for each call, it is the same."""

    @pytest.fixture
    def secure(self) -> Iterator[tuple[tuple[Server, Server], grpc.ChannelCredentials]]:
        authority = CA()
        issued = authority.issue_cert("127.0.0.1", "127.0.0.2")
        chain = b"".join(blob.bytes() for blob in issued.cert_chain_pems)
        ours = grpc.ssl_server_credentials([(issued.private_key_pem.bytes(), chain)])
        theirs = grpc.composite_channel_credentials(
            grpc.ssl_channel_credentials(authority.cert_pem.bytes()), grpc.access_token_call_credentials("token")
        )
        with (
            serving_grpc("127.0.0.1", credentials=ours) as trusted,
            serving_grpc("127.0.0.2", credentials=ours) as untrusted,
        ):
            yield (trusted, untrusted), theirs

    @pytest.mark.parametrize("way", [by_threads, by_asyncio])
    def test_each_server_gets_what_may_go_to_it(self, way: Any, installed: Install, secure: Any) -> None:
        servers, credentials = secure
        installed(Instrumented(THREADS if way is by_threads else ASYNCIO))
        for server in servers:
            receive()
            way(server.url, credentials)
            assert [received.texts("authorization") for received in server.received] == [["Bearer token"]]
        assert_each_has_all(servers[0])
        assert_each_has_the_trace_only(servers[1])


class TestMetadataSetByHand:
    """It stays as it is; what it breaks of the policy can be counted."""

    BY_HAND: Metadata = (("baggage", "mine=1"), ("x-request-id", "mine"), ("bytes-bin", b"\x00"))

    @ONE_OF_EACH
    def test_it_stays_and_is_counted_on_demand(
        self, way: Way, installed: Install, servers: tuple[Server, Server]
    ) -> None:
        egress.replace(EgressPolicy((Rule((parse_pattern("127.0.0.2"),), NOTHING),), audit=True))
        installed(way)
        call(way, servers[0].url, self.BY_HAND)
        assert counts() == {}
        call(way, servers[1].url, self.BY_HAND)
        for server in servers:
            (received,) = server.received
            assert received.texts("baggage") == ["mine=1"]
            assert received.texts("x-request-id") == ["mine"]
            assert received.texts("bytes-bin") == [repr(b"\x00")]
        assert counts() == {"egress.by_hand": 2}


class TestWhatWouldBreakACall:
    """It is left out, or is gRPC's to refuse."""

    @ONE_OF_EACH
    @pytest.mark.parametrize("header", ["x-who-bin", "grpc-who", "x!who"])
    def test_a_header_that_is_no_metadata_stays_behind(
        self, way: Way, header: str, installed: Install, servers: tuple[Server, Server]
    ) -> None:
        declare(Field("who", remote=True, header=header))
        installed(way)
        call(way, servers[0].url, **SAMPLED, **{header: "bob"})
        (received,) = servers[0].received
        assert "who=bob" in received.texts("baggage")[0]
        assert received.texts(header) == []

    @ONE_OF_EACH
    def test_what_is_no_metadata_fails_as_it_does_without_a_gate(
        self, way: Way, installed: Install, servers: tuple[Server, Server]
    ) -> None:
        with pytest.raises((TypeError, ValueError, grpc.RpcError, AttributeError)) as before:
            call(way, servers[0].url, ("abc", 5))  # type: ignore[arg-type]
        installed(way)
        with pytest.raises(before.type):
            call(way, servers[0].url, ("abc", 5))  # type: ignore[arg-type]


TARGETS = {
    "orders": "grpc://orders",
    "orders:50051": "grpc://orders:50051",
    "DNS:///Orders.:50051": "grpc://orders:50051",
    "dns://8.8.8.8/orders:50051": "grpc://orders:50051",
    "dns:orders": "grpc://orders",
    "ipv4:10.0.0.1:50051": "grpc://10.0.0.1:50051",
    "ipv6:[::1]:50051": "grpc://[::1]:50051",
    "ipv6:%5B::1%5D:50051": "grpc://[::1]:50051",
    "[::1]:50051": "grpc://[::1]:50051",
    "unix:/run/x.sock": "unix:///run/x.sock",
    "unix:///run/x.sock": "unix:///run/x.sock",
    "unix-abstract:x": "unix://x",
    "ipv4:10.0.0.1:50051,8.8.8.8:50051": None,
    "xds:///orders": None,
    "google-c2p:///orders": None,
    "consul://orders": None,
    "http://orders": None,
    "127.1:50051": None,
    "": None,
}


@pytest.mark.parametrize(("target", "expected"), TARGETS.items())
def test_where_a_target_leads(target: str, expected: str | None) -> None:
    found = destination_of(target)
    assert (found and str(found)) == expected


def test_a_socket_is_one_s_own() -> None:
    assert egress.policy().decide(destination_of("unix:/run/x.sock")).fields == ALL
