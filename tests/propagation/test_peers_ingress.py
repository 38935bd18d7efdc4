"""
What plain OpenTelemetry and its neighbours do with what comes in, and what we do instead: a test for each row.

Each shows the other's behaviour first, so that it tells when there is nothing to do better any more.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from opentelemetry import baggage, trace
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context, attach, get_current
from opentelemetry.instrumentation.asgi import ASGIGetter, OpenTelemetryMiddleware
from opentelemetry.propagate import get_global_textmap, set_global_textmap
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.http import ExcludeList

import otelctx
from otelctx.core.reports import counts
from otelctx.integrations.asgi import OtelctxMiddleware
from otelctx.propagation.propagator import OtelctxPropagator
from otelctx.signals.spans import FieldSpanProcessor

TRACE = "0af7651916cd43dd8448eb211c80319c"
SENT = {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01", "baggage": "user_id=alice,plan=gold", "x-request-id": "r1"}
TWO_HEADERS = {"client": ("10.0.0.1", 1), "headers": [(b"baggage", b"user_id=alice"), (b"baggage", b"plan=gold")]}
TOO_LONG = {"baggage": "secret=" + "s" * 9000, "x-request-id": "r1"}
PLAIN = CompositePropagator([TraceContextTextMapPropagator(), W3CBaggagePropagator()])


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(FieldSpanProcessor())
    exporter = InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
    before = get_global_textmap()
    set_global_textmap(OtelctxPropagator())
    yield exporter
    set_global_textmap(before)
    provider.shutdown()


class App:
    """Keeps what it saw of baggage and fields."""

    def __init__(self) -> None:
        self.baggage: dict[str, object] = {}
        self.fields: dict[str, object] = {}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.baggage, self.fields = dict(baggage.get_all()), dict(otelctx.current())
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ok"})


def plain(app: Any, **options: Any) -> Any:
    return OpenTelemetryMiddleware(app, exclude_spans=["receive", "send"], **options)


async def ask(app: Any, client: str = "10.0.0.1") -> httpx.Response:
    transport = httpx.ASGITransport(app, client=(client, 5000))
    async with httpx.AsyncClient(transport=transport, base_url="http://app") as session:
        return await session.get("/health", headers=SENT)


def server_span(spans: InMemorySpanExporter) -> ReadableSpan | None:
    return next((span for span in spans.get_finished_spans() if span.kind is SpanKind.SERVER), None)


class TestOnlyTheFirstBaggageHeaderIsRead:
    def test_there(self) -> None:
        assert dict(baggage.get_all(PLAIN.extract(TWO_HEADERS, Context(), ASGIGetter()))) == {"user_id": "alice"}

    def test_here_all_of_them_are_one_list(self) -> None:
        found = baggage.get_all(OtelctxPropagator().extract(TWO_HEADERS, Context(), ASGIGetter()))
        assert {key: found[key] for key in ("user_id", "plan")} == {"user_id": "alice", "plan": "gold"}


class SetsBaggage:
    """A middleware around everything, which adds to the baggage."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        token = attach(baggage.set_baggage("tier", "1"))
        try:
            await self.app(scope, receive, send)
        finally:
            token.var.reset(token)


class TestBaggageSetOutsideOpenTelemetrysMiddlewareIsErased:
    async def test_there(self, spans: InMemorySpanExporter) -> None:
        set_global_textmap(PLAIN)
        app = App()
        await ask(SetsBaggage(plain(app)))
        assert "tier" not in app.baggage

    async def test_here_it_stays(self, spans: InMemorySpanExporter) -> None:
        app = App()
        await ask(OtelctxMiddleware(SetsBaggage(plain(app))))
        assert (app.baggage["tier"], app.baggage["user_id"]) == ("1", "alice")


class TestAStaleSpanInTheThreadHidesWhatComesIn:
    @pytest.fixture
    def stale(self, spans: InMemorySpanExporter) -> Iterator[None]:
        span = trace.get_tracer("tests").start_span("stale")
        token = attach(trace.set_span_in_context(span))
        yield
        token.var.reset(token)
        span.end()

    async def test_there(self, spans: InMemorySpanExporter, stale: None) -> None:
        set_global_textmap(PLAIN)
        app = App()
        await ask(plain(app))
        assert server_span(spans) is None
        assert app.baggage == {}

    async def test_here_it_does_not(self, spans: InMemorySpanExporter, stale: None) -> None:
        app = App()
        await ask(OtelctxMiddleware(app))
        span = server_span(spans)
        assert span is not None
        assert span.parent is not None
        assert f"{span.parent.trace_id:032x}" == TRACE
        assert app.fields["user_id"] == "alice"
        assert trace.get_current_span(get_current()).is_recording()


class TestExcludedUrlsAreNotExtracted:
    async def test_there(self, spans: InMemorySpanExporter) -> None:
        set_global_textmap(PLAIN)
        app = App()
        await ask(plain(app, excluded_urls=ExcludeList(["health"])))
        assert app.baggage == {}

    async def test_here_they_are_requests_without_a_span(
        self, spans: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("OTEL_PYTHON_ASGI_EXCLUDED_URLS", "health")
        app = App()
        answer = await ask(OtelctxMiddleware(app))
        assert app.fields == {"request_id": "r1", "user_id": "alice", "plan": "gold"}
        assert answer.headers["x-request-id"] == "r1"
        assert server_span(spans) is None


class TestAnyonesBaggageIsBelieved:
    async def test_there(self, spans: InMemorySpanExporter) -> None:
        set_global_textmap(PLAIN)
        app = App()
        await ask(plain(app), client="203.0.113.5")
        assert app.baggage["user_id"] == "alice"

    async def test_here_only_that_of_ones_own_network(self, spans: InMemorySpanExporter) -> None:
        for served in (OtelctxMiddleware, plain):
            app = App()
            await ask(served(app), client="203.0.113.5")
            assert app.fields == {"request_id": "r1"}
            await ask(served(app))
            assert app.fields == {"request_id": "r1", "user_id": "alice", "plan": "gold"}


class TestARejectedHeaderIsLoggedWhole:
    """And at each request."""

    def test_there(self, caplog: pytest.LogCaptureFixture) -> None:
        PLAIN.extract(TOO_LONG, Context())
        assert "ssss" in caplog.text

    def test_here_it_is_counted_and_told_once_without_it(self, caplog: pytest.LogCaptureFixture) -> None:
        for _ in range(10):
            OtelctxPropagator().extract(TOO_LONG, Context())
        assert "ssss" not in caplog.text
        assert len(caplog.records) == 1
        assert list(counts().values()) == [10]


async def test_starlettes_test_client_is_a_stranger_until_a_rule_names_it(spans: InMemorySpanExporter) -> None:
    from otelctx.propagation.ingress import EVERYTHING, Ingress, Rule, replace
    from otelctx.propagation.peers import Peers

    app = App()
    await ask(OtelctxMiddleware(app), client="testclient")
    assert app.fields == {"request_id": "r1"}
    replace(Ingress([Rule(Peers(["testclient"]), EVERYTHING)]))
    await ask(OtelctxMiddleware(app), client="testclient")
    assert app.fields["user_id"] == "alice"
