"""
The inbound policy: what of a carrier is adopted, according to whom it came from.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import baggage, trace
from opentelemetry.context import Context, attach, get_current
from opentelemetry.instrumentation.asgi import ASGIGetter
from opentelemetry.instrumentation.wsgi import WSGIGetter
from opentelemetry.propagators.b3 import B3MultiFormat, B3SingleFormat
from opentelemetry.propagators.jaeger import JaegerPropagator
from opentelemetry.propagators.textmap import Getter, TextMapPropagator, default_getter
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, Decision, Sampler, SamplingResult
from opentelemetry.trace import SpanKind, get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

import otelctx
from otelctx import Field, declare
from otelctx.core.reports import counts
from otelctx.core.state import current_request
from otelctx.integrations.asgi.headers import Headers
from otelctx.integrations.wsgi import HeaderGetter
from otelctx.propagation import ingress
from otelctx.propagation.beside import RequestOpening
from otelctx.propagation.ingress import EVERYTHING, STRANGER, Ingress, Mode, Rule, Trust
from otelctx.propagation.peers import PARENT, PEER_KEY, UNKNOWN, Peers, peer_at, peer_named, with_peer
from otelctx.propagation.propagator import OtelctxPropagator

TRACE = "0af7651916cd43dd8448eb211c80319c"
SENT = {
    "traceparent": f"00-{TRACE}-b7ad6b7169203331-01",
    "baggage": "user_id=mallory,request_id=b1,colour=red;p=1",
    "x-request-id": "r1",
    "x-tenant": "acme",
}
NEAR = "127.0.0.1"
FAR = "203.0.113.5"


@pytest.fixture(autouse=True)
def _tenant() -> None:
    declare(Field("tenant", remote=True, header="x-tenant", key="app.tenant"))


def scope_of(peer: str | None, headers: Iterable[tuple[str, str]] = SENT.items(), **more: Any) -> dict[str, Any]:
    return {
        "type": "http",
        "client": None if peer is None else (peer, 5000),
        "server": ("127.0.0.1", 80),
        "headers": [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers],
        **more,
    }


def environ_of(peer: str | None, headers: Iterable[tuple[str, str]] = SENT.items()) -> dict[str, Any]:
    environ = {"HTTP_" + name.upper().replace("-", "_"): value for name, value in headers}
    return environ if peer is None else {**environ, "REMOTE_ADDR": peer}


def by_asgi(peer: str | None, **more: Any) -> Context:
    scope = scope_of(peer, **more)
    return OtelctxPropagator().extract(scope, getter=Headers(scope))


def by_otel_asgi(peer: str | None) -> Context:
    return OtelctxPropagator().extract(scope_of(peer), getter=ASGIGetter())


def by_wsgi(peer: str | None, **more: Any) -> Context:
    return OtelctxPropagator().extract({**environ_of(peer), **more}, getter=HeaderGetter())


def by_otel_wsgi(peer: str | None) -> Context:
    return OtelctxPropagator().extract(environ_of(peer), getter=WSGIGetter())


def by_hand(peer: str | None) -> Context:
    return otelctx.extract(SENT, peer=peer)


def beside_others(peer: str | None) -> Context:
    scope = scope_of(peer)
    return RequestOpening(Foreign()).extract(scope, getter=Headers(scope))


class Foreign(TextMapPropagator):
    """Reads the same headers as B3 and Jaeger's would be: a span and baggage put into the Context."""

    def extract(self, carrier: Any, context: Context | None = None, getter: Getter[Any] = default_getter) -> Context:
        context = TraceContextTextMapPropagator().extract(carrier, context, getter)
        for member in (getter.get(carrier, "baggage") or [""])[0].split(","):
            key, _, value = member.partition(";")[0].partition("=")
            context = baggage.set_baggage(key, value, context) if key else context
        return context

    def inject(self, carrier: Any, context: Context | None = None, setter: Any = None) -> None:
        raise AssertionError("not in these tests")

    @property
    def fields(self) -> set[str]:
        return {"x-foreign"}


WAYS = [by_asgi, by_otel_asgi, by_wsgi, by_otel_wsgi, by_hand, beside_others]


def fields_of(context: Context) -> dict[str, object]:
    token = attach(context)
    try:
        return dict(otelctx.current())
    finally:
        token.var.reset(token)


def trace_of(context: Context) -> str | None:
    found = get_current_span(context).get_span_context()
    return f"{found.trace_id:032x}" if found.is_valid else None


ALL = {"request_id": "r1", "user_id": "mallory", "tenant": "acme", "colour": "red"}


@pytest.mark.parametrize("way", WAYS)
class TestDefaults:
    """Own networks are believed everything; everyone else a trace and a request id."""

    @pytest.mark.parametrize(
        "peer",
        [
            *("127.0.0.1", "127.9.9.9", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.0.7", "169.254.1.1"),
            *("::1", "fc00::1", "fdff::1", "fe80::1", "fe80::1%eth0", "::ffff:10.0.0.1", "::ffff:127.0.0.1"),
        ],
    )
    def test_from_a_private_network_all_is_adopted(self, way: Any, peer: str) -> None:
        context = way(peer)
        assert fields_of(context) == ALL
        assert trace_of(context) == TRACE

    @pytest.mark.parametrize(
        "peer",
        [
            *("203.0.113.5", "8.8.8.8", "172.32.0.1", "11.0.0.1", "100.64.0.1", "192.0.2.1", "0.0.0.0", "169.253.0.1"),
            *("2001:db8::1", "::", "::ffff:8.8.8.8", "64:ff9b::a00:1", "2002:a00:1::", "fec0::1"),
            *("testclient", "localhost", "unknown", "private", "*", "parent", "127.0.0.1.evil.example", "127.1"),
            *("2130706433", "0x7f.1", "0177.0.0.1", "", " ", "\x00", "127.0.0.1\n", "a" * 300, "10.0.0.0/8"),
            None,
        ],
    )
    def test_of_anybody_else_a_valid_request_id_and_the_trace(self, way: Any, peer: str | None) -> None:
        context = way(peer)
        if way in {by_wsgi, by_otel_wsgi} and peer == "":
            return  # a Unix socket; see below
        assert fields_of(context) == {"request_id": "r1"}
        assert trace_of(context) == TRACE

    def test_an_attached_context_does_not_have_the_peer(self, way: Any) -> None:
        """Or what is extracted inside it, from elsewhere, would be believed as well."""
        attach(way("127.0.0.1"))
        assert PEER_KEY not in get_current()
        inner = OtelctxPropagator().extract({"baggage": "app.tenant=evil"}, get_current())
        assert "tenant" not in fields_of(inner)
        with otelctx.request(carrier={"baggage": "user_id=inner"}):
            assert otelctx.get("user_id") is None


class TestPeers:
    def test_a_server_on_a_unix_socket(self) -> None:
        assert fields_of(by_asgi(None, server=("/run/app.sock", None))) == ALL
        assert fields_of(by_asgi(None, server=("unix:/run/app.sock", None))) == ALL
        assert fields_of(by_wsgi("<local>")) == ALL
        assert fields_of(by_asgi(None, server=None)) == {"request_id": "r1"}

    def test_an_address_that_is_empty_is_a_unix_socket_only_if_the_connection_says_so(self) -> None:
        (one, other), over_ip = socket.socketpair(), socket.socket()
        with one, other, over_ip:
            assert fields_of(by_wsgi("", **{"gunicorn.socket": one})) == ALL
            assert fields_of(by_wsgi("", **{"gunicorn.socket": over_ip})) == {"request_id": "r1"}
        assert fields_of(by_wsgi("")) == {"request_id": "r1"}

    @pytest.mark.parametrize("name", ["unix", "kafka://orders", "unix:/run/s", "process://x", "parent", "<local>"])
    def test_a_name_that_a_proxy_header_may_have_put_there_means_nothing(self, name: str) -> None:
        assert fields_of(by_asgi(name)) == {"request_id": "r1"}

    @pytest.mark.parametrize(
        "name",
        [
            *("unix", "unix:", "unix:/run/app.sock", "unix:@abstract", "ipv4:127.0.0.1:5000", "ipv6:[::1]:5000"),
            *("ipv6:%5B::1%5D:5000", "127.0.0.1:80", "[::1]:80", "kafka://orders", "amqp://orders", "nats://orders"),
            *("http://10.0.0.1:8080/path", "http://[::1]/", "http://orders:8080"),
        ],
    )
    def test_what_code_may_name(self, name: str) -> None:
        assert fields_of(by_hand(name)) == ALL

    @pytest.mark.parametrize(
        "name",
        [
            *("kafka://orders.created", "kafka://", "https://api.example.com", "http://127.0.0.1@evil.example/"),
            *("ipv4:203.0.113.5:80", "ipv4:127.0.0.1:1,203.0.113.5:2", "orders", "://", "kafka:orders"),
            *("http://127.0.0.1.evil.example", "http://evil.example/10.0.0.1", "http://a\\@10.0.0.1"),
        ],
    )
    def test_who_stays_a_stranger(self, name: str) -> None:
        assert fields_of(by_hand(name)) == {"request_id": "r1"}

    def test_a_carrier_says_nothing_of_its_own_peer(self) -> None:
        forged = {
            **SENT, "REMOTE_ADDR": "127.0.0.1", "client": ["127.0.0.1", 1], "type": "http", "asgi": {"version": "3.0"},
            "otelctx-peer": "127.0.0.1", "otelctx_peer": "127.0.0.1", "wsgi.version": (1, 0), "peer": "127.0.0.1",
        }  # fmt: skip
        assert fields_of(otelctx.extract(forged)) == {"request_id": "r1"}
        scope = scope_of(FAR, [*SENT.items(), ("client", "127.0.0.1"), ("remote-addr", "127.0.0.1")])
        assert fields_of(OtelctxPropagator().extract(scope, getter=Headers(scope))) == {"request_id": "r1"}
        environ = environ_of(FAR, [*SENT.items(), ("remote-addr", "127.0.0.1"), ("remote_addr", "127.0.0.1")])
        assert fields_of(OtelctxPropagator().extract(environ, getter=HeaderGetter())) == {"request_id": "r1"}

    def test_an_invalid_request_id_of_a_stranger_is_replaced(self) -> None:
        context = otelctx.extract({"x-request-id": "a b\r\nset-cookie: x"}, peer=FAR)
        assert len(str(fields_of(context)["request_id"])) == 36

    @pytest.mark.parametrize("client", [5, ["127.0.0.1"], [], {}, (None, 1), (b"127.0.0.1", 1), object()])
    def test_a_client_of_another_form_does_not_raise(self, client: Any) -> None:
        scope = scope_of(None, client=client)
        expected = ALL if client == ["127.0.0.1"] else {"request_id"}
        assert set(fields_of(OtelctxPropagator().extract(scope, getter=Headers(scope)))) == set(expected)

    def test_what_is_remembered_of_peers_is_bounded(self) -> None:
        policy = Ingress()
        for number in range(20_000):
            policy.of_connected(f"2001:db8::{number:x}")
            policy.of_named(f"kafka://topic{number}")
            policy.of_connected("x" * 1000 + str(number))
        assert len(policy._at) <= 4096
        assert len(policy._named) <= 4096
        assert max(map(len, policy._at)) <= 64

    @given(st.text())
    def test_no_text_raises(self, text: str) -> None:
        peer_at(text)
        peer_named(text)
        Ingress().of_named(text)


def of(*peers: str, **trust: Any) -> Rule:
    return Rule(Peers(peers), Trust(**trust))


class TestRules:
    """The first rule that names a peer counts; then the default ones, then the stranger's."""

    def test_the_first_one_counts(self) -> None:
        few = frozenset({"request_id", "tenant"})
        policy = Ingress([of("10.1.0.0/16", fields=few), of("10.0.0.0/8", fields=frozenset()), of("*")])
        assert policy.of(peer_at("10.1.2.3")).fields == few
        assert policy.of(peer_at("10.2.2.3")).fields == frozenset()
        assert policy.of(peer_at("8.8.8.8")) == EVERYTHING
        assert policy.of(UNKNOWN) == EVERYTHING

    def test_the_default_ones_come_after(self) -> None:
        policy = Ingress([of("127.0.0.66", fields=frozenset())])
        assert policy.of(peer_at("127.0.0.66")).fields == frozenset()
        assert policy.of(peer_at("127.0.0.1")) == EVERYTHING
        assert Ingress([of("127.0.0.66")], defaults=False).of(peer_at("127.0.0.1")) == STRANGER

    def test_who_wrote_the_environment_is_always_believed(self) -> None:
        assert Ingress([of("*", trace=Mode.IGNORE, baggage=Mode.IGNORE)]).of(PARENT) == EVERYTHING

    @pytest.mark.parametrize(
        ("pattern", "inside", "outside"),
        [
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.1"),
            ("10.0.0.1", "::ffff:10.0.0.1", "10.0.0.2"),
            ("2001:db8::/32", "2001:db8:1::9", "2001:db9::1"),
            ("::ffff:10.0.0.0/104", "10.9.9.9", "11.0.0.1"),
            ("testclient", "testclient", "TestClient2"),
            ("private", "192.168.1.1", "8.8.8.8"),
            ("unix", "unix:/run/x", "127.0.0.1"),
            ("unknown", "", "8.8.8.8"),
            ("kafka://*", "kafka://any.thing", "amqp://any"),
            ("kafka://orders", "kafka://orders", "kafka://orders2"),
        ],
    )
    def test_patterns(self, pattern: str, inside: str, outside: str) -> None:
        peers = Peers([pattern])
        assert peer_named(inside) in peers
        assert peer_named(outside) not in peers

    def test_names_or_keys_of_fields(self) -> None:
        for name in ("tenant", "app.tenant"):
            ingress.replace(Ingress([of(FAR, fields=frozenset({name}))]))
            found = fields_of(otelctx.extract({"baggage": "app.tenant=acme,user_id=u"}, peer=FAR))
            assert found["tenant"] == "acme"
            assert "user_id" not in found

    def test_members_that_no_field_declares_pass_under_a_star_only(self) -> None:
        ingress.replace(Ingress([of(FAR, fields=frozenset({"colour"}))]))
        headers: dict[str, str] = {}
        with otelctx.request(carrier={"baggage": "colour=red"}, peer=FAR):
            assert otelctx.get("colour") is None
            otelctx.inject(headers)
        assert "colour" not in headers.get("baggage", "")

    def test_of_two_trusts_the_less_in_each_respect(self) -> None:
        one = Trust(Mode.CONTINUE, Mode.IGNORE, frozenset({"a", "b"}))
        two = Trust(Mode.RESTART, Mode.CONTINUE, frozenset({"b", "c"}))
        assert one.and_of(two) == two.and_of(one) == Trust(Mode.RESTART, Mode.IGNORE, frozenset({"b"}))
        assert EVERYTHING.and_of(one) == one.and_of(EVERYTHING) == one


class _Seen(Sampler):
    """Takes every span, and keeps what it was told of its parent."""

    def __init__(self) -> None:
        self.parents: list[bool] = []

    def should_sample(self, parent_context: Context | None, *args: Any, **kwargs: Any) -> SamplingResult:
        self.parents.append(get_current_span(parent_context).get_span_context().is_valid)
        return SamplingResult(Decision.RECORD_AND_SAMPLE)

    def get_description(self) -> str:
        return ALWAYS_ON.get_description()


class TestModes:
    """Continue adopts; ignore is as if nothing had been sent; restart begins anew and keeps the relation."""

    @pytest.fixture
    def provider(self) -> Any:
        from otelctx.signals.spans import FieldSpanProcessor

        self.sampler = _Seen()
        self.exporter = InMemorySpanExporter()
        provider = TracerProvider(sampler=self.sampler, shutdown_on_exit=False)
        provider.add_span_processor(FieldSpanProcessor())
        provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        return provider

    def span(self, provider: TracerProvider, way: Any, kind: SpanKind = SpanKind.SERVER) -> ReadableSpan:
        tracer = provider.get_tracer("tests")
        with tracer.start_as_current_span("entry", way(FAR), kind), tracer.start_as_current_span("inner"):
            pass
        inner, entry = self.exporter.get_finished_spans()
        assert not inner.links
        assert not any(name.endswith(".received") for name in inner.attributes or {})
        return entry

    @pytest.mark.parametrize("way", WAYS)
    def test_continue(self, provider: TracerProvider, way: Any) -> None:
        ingress.replace(Ingress([of(FAR)]))
        entry = self.span(provider, way)
        assert entry.parent is not None
        assert f"{entry.parent.trace_id:032x}" == TRACE
        assert not entry.links
        assert self.sampler.parents == [True, True]

    @pytest.mark.parametrize("way", WAYS)
    def test_ignore(self, provider: TracerProvider, way: Any) -> None:
        ingress.replace(Ingress([of(FAR, trace=Mode.IGNORE, baggage=Mode.IGNORE)]))
        entry = self.span(provider, way)
        assert entry.parent is None
        assert not entry.links
        assert self.sampler.parents == [False, True]
        attributes = entry.attributes or {}
        assert attributes["otelctx.request_id.origin"] == "generated"
        assert "r1" not in attributes.values()
        assert "mallory" not in attributes.values()
        assert counts() == {"ingress.trace_ignore": 1, "ingress.baggage_ignore": 1}

    @pytest.mark.parametrize("kind", [SpanKind.SERVER, SpanKind.CONSUMER, SpanKind.INTERNAL])
    @pytest.mark.parametrize("way", WAYS)
    def test_restart(self, provider: TracerProvider, way: Any, kind: SpanKind) -> None:
        ingress.replace(Ingress([of(FAR, trace=Mode.RESTART, baggage=Mode.RESTART)]))
        entry = self.span(provider, way, kind)
        assert entry.parent is None
        assert self.sampler.parents == [False, True]
        (link,) = entry.links
        assert f"{link.context.trace_id:032x}" == TRACE
        assert f"{entry.get_span_context().trace_id:032x}" != TRACE  # type: ignore[union-attr]
        attributes = entry.attributes or {}
        assert attributes["otelctx.request_id.received"] == "r1"
        assert len(str(attributes["request_id"])) == 36
        assert "mallory" not in attributes.values()
        assert counts() == {"ingress.trace_restart": 1, "ingress.baggage_restart": 1}

    def test_restart_keeps_nothing_that_is_not_valid(self) -> None:
        ingress.replace(Ingress([of(FAR, baggage=Mode.RESTART)]))
        request = current_request(otelctx.extract({"x-request-id": "no good", "baggage": "user_id=u"}, peer=FAR))
        assert request is not None
        assert not request.former

    def test_without_anything_sent_there_is_nothing_to_count_or_relate(self, provider: TracerProvider) -> None:
        ingress.replace(Ingress([of("*", trace=Mode.RESTART, baggage=Mode.RESTART)]))
        request = current_request(otelctx.extract({}))
        assert request is not None
        assert (request.link, request.former) == (None, None)
        assert counts() == {}

    def test_a_span_of_this_process_that_a_context_has_stays(self, provider: TracerProvider) -> None:
        ingress.replace(Ingress([of("*", trace=Mode.IGNORE)]))
        span = provider.get_tracer("tests").start_span("here")
        context = otelctx.extract(SENT, trace.set_span_in_context(span))
        assert get_current_span(context) is span
        span.end()

    def test_the_trace_alone_or_the_fields_alone(self) -> None:
        ingress.replace(Ingress([of(FAR, trace=Mode.IGNORE), of(NEAR, baggage=Mode.IGNORE)]))
        assert fields_of(by_hand(FAR)) == ALL
        assert trace_of(by_hand(FAR)) is None
        assert trace_of(by_hand(NEAR)) == TRACE
        assert set(fields_of(by_hand(NEAR))) == {"request_id"}

    def test_a_getter_that_raises_lets_nothing_by(self) -> None:
        class Raises(HeaderGetter):
            def get(self, carrier: Any, key: str) -> list[str] | None:
                if key == "baggage":
                    raise RuntimeError("hostile")
                return super().get(carrier, key)

        ingress.replace(Ingress([of(FAR, trace=Mode.IGNORE)]))
        context = OtelctxPropagator().extract(environ_of(FAR), getter=Raises())
        assert trace_of(context) is None
        assert fields_of(context)["request_id"] != "r1"


class TestCounting:
    """What was refused is counted and told, by the names of declared fields and nothing else."""

    def test_by_the_names_of_fields(self, caplog: pytest.LogCaptureFixture) -> None:
        by_asgi(FAR)
        assert counts() == {"ingress.refused.user_id": 1, "ingress.refused.tenant": 1, "ingress.refused": 1}
        assert "user_id" in caplog.text
        for told in ("mallory", "acme", "colour", "=red", FAR):
            assert told not in caplog.text

    def test_once_a_minute(self, caplog: pytest.LogCaptureFixture) -> None:
        for _ in range(100):
            by_asgi(FAR)
        assert counts()["ingress.refused.user_id"] == 100
        assert len(caplog.records) == 3

    def test_nothing_is_told_of_who_is_believed(self) -> None:
        by_asgi(NEAR)
        assert counts() == {}


class TestInsideAnother:
    """A propagator of others around or beside ours passes the same policy."""

    def test_what_a_propagator_in_front_has_read(self) -> None:
        read = Foreign().extract(SENT, with_peer(Context(), FAR))
        ingress.replace(Ingress([of(FAR, trace=Mode.IGNORE, fields=frozenset())]))
        context = OtelctxPropagator().extract({}, read)
        assert trace_of(context) is None
        assert set(fields_of(context)) == {"request_id"}

    def test_what_others_inside_ours_have_read(self) -> None:
        ingress.replace(Ingress([of(FAR, trace=Mode.IGNORE, fields=frozenset({"tenant"}))]))
        headers = {"x-tenant": "acme", **SENT}
        context = OtelctxPropagator(Foreign()).extract(headers, with_peer(Context(), FAR))
        assert trace_of(context) is None
        assert {**fields_of(context), "request_id": None} == {"request_id": None, "tenant": "acme"}

    @pytest.mark.parametrize(
        ("other", "sent"),
        [
            (B3MultiFormat, {"x-b3-traceid": TRACE, "x-b3-spanid": "b7ad6b7169203331", "x-b3-sampled": "1"}),
            (B3SingleFormat, {"b3": f"{TRACE}-b7ad6b7169203331-1"}),
            (
                JaegerPropagator,
                {
                    "uber-trace-id": f"{TRACE}:b7ad6b7169203331:0:1",
                    "uberctx-user_id": "m",
                    "jaeger-baggage": "user_id=m",
                },
            ),
        ],
    )
    @pytest.mark.parametrize("around", [RequestOpening, OtelctxPropagator])
    def test_b3_and_jaeger(self, around: Any, other: type[TextMapPropagator], sent: dict[str, str]) -> None:
        propagator = around(other())
        mistrusted = Rule(Peers([FAR]), Trust(Mode.RESTART, fields=frozenset({"request_id"})))
        ingress.replace(Ingress([mistrusted]))
        context = propagator.extract({**sent, "x-request-id": "r1"}, with_peer(Context(), FAR))
        assert fields_of(context) == {"request_id": "r1"}
        assert trace_of(context) is None
        request = current_request(context)
        assert request is not None
        assert request.link is not None
        assert f"{request.link.trace_id:032x}" == TRACE
        context = propagator.extract(sent, with_peer(Context(), NEAR))
        assert trace_of(context) == TRACE
        assert ("user_id" in fields_of(context)) == (other is JaegerPropagator)
