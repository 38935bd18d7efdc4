"""The ASGI edge by itself: one request for each connection, whatever the application does with it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from fastapi import FastAPI
from opentelemetry.context import get_current
from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode, get_current_span, get_tracer

import otelctx
from otelctx.integrations.asgi import OtelctxMiddleware

App = Callable[..., Awaitable[None]]


def scope_of(path: str = "/", kind: str = "http", **headers: str) -> dict[str, Any]:
    return {
        "type": kind,
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http" if kind == "http" else "ws",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()],
        "server": ("testserver", 80),
        "client": ("127.0.0.1", 1),
    }


async def serve(
    app: App, scope: dict[str, Any] | None = None, sent: list[dict[str, Any]] | None = None
) -> list[dict[str, Any]]:
    """Return what *app* sends, and put it into *sent* for the case that it raises."""
    sent = [] if sent is None else sent

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await app(scope_of() if scope is None else scope, receive, send)
    return sent


def attributes_of(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def echoed(sent: list[dict[str, Any]]) -> list[str]:
    return [value.decode() for name, value in sent[0]["headers"] if name == b"x-request-id"]


async def answer(scope: Any, receive: Any, send: Any) -> None:
    """Say what the request is."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(otelctx.get("request_id")).encode()})


class TestRequest:
    async def test_the_request_id_of_the_caller_is_adopted_and_echoed(self) -> None:
        sent = await serve(OtelctxMiddleware(answer), scope_of(x_request_id="theirs"))
        assert echoed(sent) == ["theirs"]
        assert sent[1]["body"] == b"theirs"

    @pytest.mark.parametrize("headers", [{}, {"x_request_id": "not valid"}, {"x_request_id": "x" * 1000}])
    async def test_a_wrong_or_missing_one_is_generated(self, headers: dict[str, str]) -> None:
        sent = await serve(OtelctxMiddleware(answer), scope_of(**headers))
        assert echoed(sent) == [sent[1]["body"].decode()]
        assert len(echoed(sent)[0]) == 36

    async def test_one_that_came_twice_is_nobodys_word(self) -> None:
        scope = scope_of(x_request_id="one")
        scope["headers"].append((b"X-Request-Id", b"two"))
        assert echoed(await serve(OtelctxMiddleware(answer), scope))[0] not in {"one", "two"}

    async def test_a_header_that_the_application_sends_itself_stays(self) -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": [(b"X-Request-ID", b"its own")]})

        sent = await serve(OtelctxMiddleware(app))
        assert sent[0]["headers"] == [(b"X-Request-ID", b"its own")]

    async def test_a_response_without_headers_is_echoed_too(self) -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 204})

        assert echoed(await serve(OtelctxMiddleware(app), scope_of(x_request_id="theirs"))) == ["theirs"]

    async def test_a_websocket_is_a_request_and_its_acceptance_is_echoed(self) -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "websocket.accept"})
            await send({"type": "websocket.send", "text": str(otelctx.get("request_id"))})

        sent = await serve(OtelctxMiddleware(app), scope_of(kind="websocket", x_request_id="theirs"))
        assert echoed(sent) == ["theirs"]
        assert sent[1] == {"type": "websocket.send", "text": "theirs"}

    async def test_what_a_task_sets_is_seen_by_the_middleware_outside_of_it(self) -> None:
        async def inner(scope: Any, receive: Any, send: Any) -> None:
            await asyncio.create_task(asyncio.to_thread(otelctx.set, user_id="alice"))

        seen: list[object] = []

        async def outer(scope: Any, receive: Any, send: Any) -> None:
            await inner(scope, receive, send)
            seen.append(otelctx.get("user_id"))
            await answer(scope, receive, send)

        await serve(OtelctxMiddleware(outer))
        assert seen == ["alice"]

    async def test_an_application_within_another_shares_its_request(self) -> None:
        sent = await serve(OtelctxMiddleware(OtelctxMiddleware(answer)))
        assert echoed(sent) == [sent[1]["body"].decode()]


class TestFailure:
    async def test_an_application_that_gave_no_answer_is_answered_for_and_its_error_goes_on(self) -> None:
        sent: list[dict[str, Any]] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            raise LookupError("theirs")

        with pytest.raises(LookupError, match="theirs"):
            await serve(OtelctxMiddleware(app), scope_of(x_request_id="theirs"), sent)
        assert (sent[0]["status"], echoed(sent)) == (500, ["theirs"])
        assert sent[1]["body"] == b"Internal Server Error"

    async def test_one_that_has_begun_to_answer_is_left_alone(self) -> None:
        sent: list[dict[str, Any]] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await answer(scope, receive, send)
            raise LookupError

        with pytest.raises(LookupError):
            await serve(OtelctxMiddleware(app), scope_of(), sent)
        assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]

    async def test_a_cancelled_one_is_not_answered_for(self) -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            raise asyncio.CancelledError

        sent: list[dict[str, Any]] = []

        with pytest.raises(asyncio.CancelledError):
            await serve(OtelctxMiddleware(app), scope_of(), sent)
        assert sent == []


class TestContext:
    async def test_it_is_as_before_after_each_call(self) -> None:
        before = get_current()
        await serve(OtelctxMiddleware(answer))
        assert get_current() is before

    async def test_it_is_as_before_after_an_error(self) -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            raise LookupError

        before = get_current()
        with pytest.raises(LookupError):
            await serve(OtelctxMiddleware(app))
        assert get_current() is before

    async def test_in_a_task_of_its_own_the_request_stays_for_what_the_server_logs(self) -> None:
        async def served() -> object:
            await serve(OtelctxMiddleware(answer, owns_task=True), scope_of(x_request_id="theirs"))
            return otelctx.get("request_id")

        assert await asyncio.create_task(served()) == "theirs"
        assert otelctx.get("request_id") is None


class TestSharing:
    async def test_nothing_of_a_request_is_on_the_middleware(self) -> None:
        middleware = OtelctxMiddleware(answer)
        before = dict(vars(middleware))
        await serve(middleware)
        assert vars(middleware) == before

    async def test_requests_at_the_same_time_never_mix(self, spans: InMemorySpanExporter) -> None:
        size, here = 50, 0
        all_here = asyncio.Event()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            nonlocal here
            otelctx.set(user_id=f"user of {otelctx.get('request_id')}")
            here += 1
            if here == size:
                all_here.set()
            await all_here.wait()
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": str(otelctx.get("user_id")).encode()})

        middleware = OtelctxMiddleware(app)
        answers = await asyncio.gather(*(serve(middleware, scope_of(x_request_id=str(n))) for n in range(size)))
        assert [(echoed(sent), sent[1]["body"].decode()) for sent in answers] == [
            ([str(number)], f"user of {number}") for number in range(size)
        ]
        recorded = {
            (attributes_of(span)["request_id"], attributes_of(span)["user.id"]) for span in spans.get_finished_spans()
        }
        assert recorded == {(str(number), f"user of {number}") for number in range(size)}


class TestLifespan:
    async def test_it_passes_untouched(self) -> None:
        passed: list[Any] = []

        async def app(*arguments: Any) -> None:
            passed.extend(arguments)
            assert otelctx.get("request_id") is None

        scope = {"type": "lifespan", "asgi": {"version": "3.0"}}
        receive, send = object(), object()
        await OtelctxMiddleware(app)(scope, receive, send)  # type: ignore[arg-type]
        assert all(one is other for one, other in zip(passed, (scope, receive, send), strict=True))
        assert scope == {"type": "lifespan", "asgi": {"version": "3.0"}}


class TestServerSpan:
    async def test_there_is_one_and_none_for_sending_and_receiving(self, spans: InMemorySpanExporter) -> None:
        await serve(OtelctxMiddleware(answer), scope_of("/a", x_request_id="theirs"))
        (span,) = spans.get_finished_spans()
        assert (span.kind, span.name, attributes_of(span)["request_id"]) == (SpanKind.SERVER, "GET /a", "theirs")

    async def test_the_edge_of_another_request_in_the_thread_does_not_become_its_parent(
        self, spans: InMemorySpanExporter, tracer: Any
    ) -> None:
        with tracer.start_as_current_span("stale"):
            await serve(OtelctxMiddleware(answer))
        (span,) = spans.get_finished_spans()
        assert (span.kind, span.parent) == (SpanKind.SERVER, None)

    async def test_it_has_the_error_of_a_failure_once(self, spans: InMemorySpanExporter) -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            raise LookupError("theirs")

        with pytest.raises(LookupError):
            await serve(OtelctxMiddleware(app))
        (span,) = spans.get_finished_spans()
        assert span.status.status_code is StatusCode.ERROR
        assert [event.name for event in span.events] == ["exception"]
        assert attributes_of(span)["http.status_code"] == 500

    async def test_it_may_be_left_to_others(self, spans: InMemorySpanExporter) -> None:
        sent = await serve(OtelctxMiddleware(answer, traced=False), scope_of(x_request_id="theirs"))
        assert (spans.get_finished_spans(), echoed(sent)) == ((), ["theirs"])

    async def test_one_that_was_made_further_in_is_around_the_sending_too(self, spans: InMemorySpanExporter) -> None:
        seen: list[int] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            with get_tracer("a framework").start_as_current_span("GET /", kind=SpanKind.SERVER):
                pass
            await answer(scope, receive, send)

        async def send(message: Any) -> None:
            seen.append(get_current_span().get_span_context().span_id)

        await OtelctxMiddleware(app, traced=False)(scope_of(), None, send)
        (span,) = spans.get_finished_spans()
        assert span.context is not None
        assert seen == [span.context.span_id, span.context.span_id]

    async def test_a_middleware_of_opentelemetry_inside_joins_it(self, spans: InMemorySpanExporter) -> None:
        hooked: list[str] = []
        inner = OpenTelemetryMiddleware(
            answer,
            default_span_details=lambda scope: ("the framework's name", {"http.route": "/{all}"}),
            server_request_hook=lambda span, scope: hooked.append(span.name),
        )
        await serve(OtelctxMiddleware(inner))
        (span,) = spans.get_finished_spans()
        assert (span.name, attributes_of(span)["http.route"]) == ("the framework's name", "/{all}")
        assert hooked == ["the framework's name"]

    async def test_by_itself_that_middleware_works_as_always(self, spans: InMemorySpanExporter) -> None:
        OtelctxMiddleware(answer)
        await serve(OpenTelemetryMiddleware(answer, exclude_spans=["receive", "send"]))
        (span,) = spans.get_finished_spans()
        assert span.kind is SpanKind.SERVER

    async def test_an_instrumented_fastapi_gives_it_the_route(self, spans: InMemorySpanExporter) -> None:
        app = FastAPI()

        @app.get("/items/{item}")
        async def item(item: str) -> str:
            otelctx.set(user_id="alice")
            return format(get_current_span().get_span_context().span_id, "016x")

        FastAPIInstrumentor.instrument_app(app)
        try:
            sent = await serve(OtelctxMiddleware(app), scope_of("/items/1"))
        finally:
            FastAPIInstrumentor.uninstrument_app(app)
        (span,) = spans.get_finished_spans()
        assert (span.name, attributes_of(span)["user.id"]) == ("GET /items/{item}", "alice")
        assert sent[1]["body"].decode().strip('"') == format(span.context.span_id, "016x")

    async def test_an_excluded_url_has_none_and_is_a_request_all_the_same(
        self, spans: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("OTEL_PYTHON_EXCLUDED_URLS", "/healthz")
        sent = await serve(OtelctxMiddleware(answer), scope_of("/healthz", x_request_id="theirs"))
        assert (spans.get_finished_spans(), echoed(sent)) == ((), ["theirs"])


WITHOUT_INSTRUMENTATION = """
import asyncio, sys
sys.modules[{missing!r}] = None  # importing it raises, as if it were not installed
import otelctx
from otelctx.integrations.asgi import OtelctxMiddleware

async def app(scope, receive, send):
    await send({{"type": "http.response.start", "status": 200, "headers": []}})

async def main():
    async def send(message):
        print(message["headers"])
    scope = {{"type": "http", "path": "/", "headers": [(b"x-request-id", b"theirs")]}}
    await OtelctxMiddleware(app)(scope, None, send)

asyncio.run(main())
print("opentelemetry.sdk" in sys.modules)
"""


class TestAlone:
    """With nothing of OpenTelemetry but its API."""

    @pytest.mark.parametrize("missing", ["opentelemetry.instrumentation", "opentelemetry.instrumentation.asgi"])
    def test_it_works_where_instrumentation_is_not_installed(self, missing: str) -> None:
        script = WITHOUT_INSTRUMENTATION.format(missing=missing)
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
        assert done.stdout.splitlines() == ["[(b'x-request-id', b'theirs')]", "False"], done.stderr


class TestRefusals:
    async def test_our_500_says_that_the_connection_ends(self) -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            raise RuntimeError("boom")

        sent: list[dict[str, Any]] = []
        with pytest.raises(RuntimeError, match="boom"):
            await serve(OtelctxMiddleware(app), sent=sent)
        assert (b"connection", b"close") in sent[0]["headers"]

    async def test_an_error_without_a_text_is_still_the_applications_error(self, spans: InMemorySpanExporter) -> None:
        class SpeechlessError(Exception):
            def __str__(self) -> str:
                raise ValueError("speechless")

        async def app(scope: Any, receive: Any, send: Any) -> None:
            raise SpeechlessError

        sent: list[dict[str, Any]] = []
        with pytest.raises(SpeechlessError):
            await serve(OtelctxMiddleware(app), sent=sent)
        assert sent[0]["status"] == 500
        assert spans.get_finished_spans()[0].status.status_code is StatusCode.ERROR

    async def test_a_websocket_that_is_not_accepted_is_refused_with_the_request_id(self) -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "websocket.close", "code": 1008})

        scope = scope_of(kind="websocket", x_request_id="theirs") | {"extensions": {"websocket.http.response": {}}}
        sent = await serve(OtelctxMiddleware(app), scope)
        assert [message["type"] for message in sent] == [
            "websocket.http.response.start",
            "websocket.http.response.body",
        ]
        assert (sent[0]["status"], echoed(sent)) == (403, ["theirs"])

    async def test_a_server_without_denial_responses_gets_what_the_application_sent(self) -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "websocket.close"})

        assert await serve(OtelctxMiddleware(app), scope_of(kind="websocket")) == [{"type": "websocket.close"}]


class TestJoining:
    """What code told the framework's instrumentation holds for the span at the edge, or there is one of its own."""

    async def test_headers_that_it_captures_are_on_the_span(self, spans: InMemorySpanExporter) -> None:
        inner = OpenTelemetryMiddleware(
            answer,
            http_capture_headers_server_request=["x-foo"],
            http_capture_headers_server_response=["x-request-id"],
        )
        await serve(OtelctxMiddleware(inner), scope_of(x_foo="bar", x_request_id="theirs"))
        (span,) = spans.get_finished_spans()
        assert attributes_of(span)["http.request.header.x_foo"] == ("bar",)

    async def test_with_a_provider_of_its_own_it_makes_its_own_span(self, spans: InMemorySpanExporter) -> None:
        theirs, provider = InMemorySpanExporter(), TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(theirs))
        await serve(OtelctxMiddleware(OpenTelemetryMiddleware(answer, tracer_provider=provider)))
        assert [span.kind for span in spans.get_finished_spans()] == [SpanKind.SERVER]
        assert SpanKind.INTERNAL in {span.kind for span in theirs.get_finished_spans()}
