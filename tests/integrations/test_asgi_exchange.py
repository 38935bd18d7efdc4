"""The traced exchange leaves behind what OpenTelemetry's own ASGI middleware does: spans, metrics, messages."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from typing import Any

import pytest
from asgiref.wsgi import WsgiToAsgi
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry import metrics, trace
from opentelemetry.context import Context, attach, detach, get_current
from opentelemetry.instrumentation._semconv import _OpenTelemetrySemanticConventionStability
from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
from opentelemetry.instrumentation.propagators import TraceResponsePropagator, set_global_response_propagator
from opentelemetry.instrumentation.utils import suppress_http_instrumentation
from opentelemetry.propagate import get_global_textmap, set_global_textmap
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from otelctx.integrations.asgi import OtelctxMiddleware
from otelctx.integrations.asgi.headers import Headers
from otelctx.integrations.asgi.measures import content_length
from otelctx.integrations.asgi.server_span import ServerSpan
from otelctx.propagation.edge import opened_at
from otelctx.propagation.propagator import OtelctxPropagator

Scope = MutableMapping[str, Any]
App = Callable[..., Awaitable[None]]


class Route:
    path_format = "/orders/{number}"


class ReplayingApp:
    """Sends what it was told to, and may fail after that."""

    def __init__(self, messages: list[dict[str, Any]], *, fails: bool, route: bool) -> None:
        self.messages = messages
        self.fails = fails
        self.route = route

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        if self.route:
            scope["route"] = Route()
        for message in self.messages:
            await send({**message})
        if self.fails:
            raise LookupError("on purpose")


def told(app: App, scope: Scope) -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        headers = [pair for pair in message.get("headers", ()) if pair[0] != b"x-request-id"]
        sent.append({**message, "headers": headers} if "headers" in message else message)

    async def served() -> None:
        try:
            await app(scope, receive, send)
        except LookupError:
            sent.append({"type": "it raised"})

    token = attach(Context())
    try:
        asyncio.run(served())
    finally:
        detach(token)
    return sent


def of_span(span: ReadableSpan) -> dict[str, Any]:
    assert span.context
    return {
        "name": span.name,
        "kind": span.kind,
        "attributes": dict(span.attributes or {}),
        "status": (span.status.status_code, span.status.description),
        "events": [(event.name, (event.attributes or {}).get("exception.type")) for event in span.events],
        "parent": span.parent and (span.parent.trace_id, span.parent.span_id),
        "scope": span.instrumentation_scope,
        "sampled": int(span.context.trace_flags),
    }


def of_metrics(reader: InMemoryMetricReader) -> dict[str, Any]:
    data = reader.get_metrics_data()
    return {
        metric.name: [
            (
                dict(point.attributes or {}),
                getattr(point, "count", None),
                # A duration is another in each run.
                point.sum if "duration" not in metric.name and hasattr(point, "sum") else None,
                getattr(point, "value", None),
                tuple(point.explicit_bounds) if hasattr(point, "explicit_bounds") else None,
            )
            for point in metric.data.data_points
        ]
        for resource in (data.resource_metrics if data else ())
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }


class Side:
    """One of the two that are compared: its providers, its middleware."""

    def __init__(self, make: Callable[[App], App]) -> None:
        self.make = make
        self.exporter = InMemorySpanExporter()
        self.tracers = TracerProvider(shutdown_on_exit=False)
        self.tracers.add_span_processor(SimpleSpanProcessor(self.exporter))

    def outcome(self, monkeypatch: pytest.MonkeyPatch, app: App, scope: Scope) -> dict[str, Any]:
        reader = InMemoryMetricReader()
        meters = MeterProvider([reader], shutdown_on_exit=False)
        self.exporter.clear()
        with monkeypatch.context() as patched:
            # The API lets them be set once per process.
            patched.setattr(trace, "_TRACER_PROVIDER", self.tracers)
            patched.setattr(metrics._internal, "_METER_PROVIDER", meters)
            sent = told(self.make(app), scope)
        return {
            "sent": sent,
            "spans": [of_span(span) for span in self.exporter.get_finished_spans()],
            "metrics": of_metrics(reader),
        }


def plain(app: App) -> App:
    return OpenTelemetryMiddleware(app, exclude_spans=["receive", "send"])  # type: ignore[no-any-return]


starts = st.builds(
    lambda status, headers: {"type": "http.response.start", "status": status, "headers": headers},
    st.one_of(st.integers(100, 599), st.just("418")),
    st.lists(
        st.sampled_from([(b"content-length", b"12"), (b"Content-Length", b"x"), (b"content-type", b"text/plain")]),
        max_size=2,
        unique_by=lambda pair: pair[0].lower(),
    ),
)
bodies = st.builds(
    lambda more: {"type": "http.response.body", "body": b"x", **({} if more is None else {"more_body": more})},
    st.sampled_from([None, True, False]),
)
responses = st.one_of(
    st.tuples(starts, bodies).map(list),
    st.tuples(starts, bodies, bodies).map(list),
    st.tuples(starts).map(list),
)
PARENT = (b"traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-%s")
scopes = st.fixed_dictionaries(
    {
        "type": st.just("http"),
        "method": st.sampled_from(["GET", "POST", "BREW"]),
        "path": st.sampled_from(["/", "/orders/7", "/ä"]),
        "query_string": st.sampled_from([b"", b"a=1&password=x"]),
        "root_path": st.sampled_from(["", "/v1"]),
        "headers": st.lists(
            st.sampled_from(
                [
                    (b"host", b"shop.example"),
                    (b"user-agent", b"googlebot"),
                    (b"content-length", b"5"),
                    (PARENT[0], PARENT[1] % b"01"),
                ]
            ),
            max_size=4,
            unique=True,
        ),
        "client": st.sampled_from([None, ("127.0.0.1", 5)]),
        "server": st.just(("127.0.0.1", 80)),
        "scheme": st.just("http"),
        "http_version": st.just("1.1"),
    }
)


@pytest.fixture(params=["", "http", "http/dup"], ids=["old", "new", "both"], scope="module")
def sides(request: pytest.FixtureRequest) -> Iterator[tuple[Side, Side]]:
    """Plain OpenTelemetry and otelctx, both in one stability mode."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("OTEL_SEMCONV_STABILITY_OPT_IN", request.param)
        patched.setattr(_OpenTelemetrySemanticConventionStability, "_initialized", False)
        patched.setattr(_OpenTelemetrySemanticConventionStability, "_OTEL_SEMCONV_STABILITY_SIGNAL_MAPPING", {})
        before = get_global_textmap()
        set_global_textmap(OtelctxPropagator())
        yield Side(plain), Side(OtelctxMiddleware)
        set_global_textmap(before)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(scopes, responses, st.booleans(), st.booleans())
def test_both_leave_the_same_behind(  # noqa: PLR0917 - two fixtures and four inputs
    sides: tuple[Side, Side],
    monkeypatch: pytest.MonkeyPatch,
    scope: Scope,
    response: list[dict[str, Any]],
    fails: bool,
    route: bool,
) -> None:
    theirs, ours = (
        side.outcome(monkeypatch, ReplayingApp(response, fails=fails, route=route), {**scope}) for side in sides
    )

    assert theirs == ours


class TestExchange:
    """`ServerSpan.exchange`: who serves what."""

    scope: Scope = {"type": "http", "method": "GET", "path": "/", "headers": [], "query_string": b""}  # noqa: RUF012

    @staticmethod
    async def send(message: Any) -> None:
        """Go nowhere."""

    def served_by_us(self, **more: Any) -> bool:
        async def app(*_: Any) -> None:
            """Do nothing."""

        scope = {**self.scope, **more}
        layer, opened = opened_at(scope, Context())
        return ServerSpan(app).exchange(scope, Headers(scope), self.send, layer, opened) is not None

    def test_an_http_request_is_ours(self) -> None:
        assert self.served_by_us()

    @pytest.mark.parametrize(
        "variable",
        [
            "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_REQUEST",
            "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_RESPONSE",
            "OTEL_PYTHON_EXCLUDED_URLS",
            "OTEL_PYTHON_FASTAPI_EXCLUDED_URLS",
        ],
    )
    def test_captured_headers_and_excluded_urls_are_left_to_opentelemetry(
        self, monkeypatch: pytest.MonkeyPatch, variable: str
    ) -> None:
        monkeypatch.setenv(variable, "x-thing")

        assert not self.served_by_us()

    def test_a_response_propagator_is_left_to_opentelemetry(self) -> None:
        set_global_response_propagator(TraceResponsePropagator())
        try:
            assert not self.served_by_us()
        finally:
            set_global_response_propagator(None)  # type: ignore[arg-type]

    def test_suppressed_instrumentation_is_left_to_opentelemetry(self) -> None:
        with suppress_http_instrumentation():
            assert not self.served_by_us()


class TestAround:
    """What an application, its frameworks and other people's processors may do with an exchange."""

    scope: Scope = {**TestExchange.scope, "headers": [(b"host", b"h")]}  # noqa: RUF012

    def test_asgiref_takes_it_for_something_to_await(self) -> None:
        def wsgi(_: Any, start: Any) -> list[bytes]:
            start("200 OK", [("content-type", "text/plain")])
            return [b"x"]

        # It would warn, and warnings are errors here.
        sent = told(OtelctxMiddleware(WsgiToAsgi(wsgi)), {**self.scope})

        assert [message["type"] for message in sent][:2] == ["http.response.start", "http.response.body"]

    def test_the_last_message_is_a_coroutine_to_everybody(self) -> None:
        seen: list[bool] = []

        async def app(_: Scope, receive: Any, send: Any) -> None:
            for kind in ("start", "body"):
                sending = send({"type": f"http.response.{kind}", "status": 200})
                seen.append(inspect.iscoroutine(sending))
                await asyncio.create_task(sending)

        told(OtelctxMiddleware(app), {**self.scope})

        assert seen == [True, True]

    def test_headers_that_can_be_read_once_are_left_to_the_server(self) -> None:
        assert content_length(iter([(b"content-length", b"5")])) is None
        assert content_length([(b"content-length", b"5")]) == 5

    def test_the_context_is_put_back_where_the_end_of_the_span_raises(self, monkeypatch: pytest.MonkeyPatch) -> None:
        class Raises(SpanProcessor):
            def on_end(self, span: ReadableSpan) -> None:
                raise ZeroDivisionError

        tracers = TracerProvider(shutdown_on_exit=False)
        tracers.add_span_processor(Raises())
        monkeypatch.setattr(trace, "_TRACER_PROVIDER", tracers)
        contexts: list[Context] = []

        async def server(scope: Scope, receive: Any, send: Any) -> None:
            contexts.append(get_current())
            with pytest.raises(ZeroDivisionError):
                await OtelctxMiddleware(ReplayingApp([], fails=False, route=False))(scope, receive, send)
            contexts.append(get_current())

        told(server, {**self.scope})

        assert contexts[0] is contexts[1]
