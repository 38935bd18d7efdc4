"""
Batches of spans that were really recorded: by the SDK's tracer, and by otelctx's faster one.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans as sdk_spans
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode

from otelctx.export.otlp import encode_spans, stored
from otelctx.signals import tracing
from otelctx.signals.recording import RecordingSpan


@pytest.fixture(params=["sdk", "otelctx"])
def kind(request: pytest.FixtureRequest) -> Iterator[str]:
    if request.param == "otelctx":
        tracing.install()
    yield request.param
    tracing.uninstall()


@pytest.fixture
def recorded(kind: str) -> Iterator[list[ReadableSpan]]:
    """512 spans of all kinds."""
    exporter = InMemorySpanExporter()
    limits = SpanLimits(max_events=2, max_links=1)
    provider = TracerProvider(resource=Resource({"service.name": "shop"}), span_limits=limits, shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracers = [provider.get_tracer("first", "1.0", "https://example.com/1"), provider.get_tracer("second")]
    for number in range(256):
        tracer = tracers[number % 2]
        with tracer.start_as_current_span(f"outer {number % 9}", kind=SpanKind.SERVER) as outer:
            outer.set_attributes({"http.route": "/a/{b}", "path": f"/a/{number}", "port": 40_000 + number, "ok": True})
            links = [Link(outer.get_span_context(), {"n": number})] * 3
            with suppress(ValueError), tracer.start_as_current_span("inner", links=links) as inner:
                inner.set_attribute("list", [1.5, number])
                for event in range(number % 4):
                    inner.add_event("event", {"n": event}, timestamp=number)
                raise ValueError("broken")
            if number % 3:
                outer.set_status(Status(StatusCode.ERROR, "why"))
    spans = list(exporter.get_finished_spans())
    assert {isinstance(span, RecordingSpan) for span in spans} == {kind == "otelctx"}
    yield spans
    provider.shutdown()


def test_a_full_batch_is_the_same_bytes(recorded: list[ReadableSpan]) -> None:
    assert len(recorded) == 512
    assert encode_spans(recorded) == sdk_spans(recorded).SerializeToString()


def test_threads_that_encode_at_once_do_not_disturb_each_other(recorded: list[ReadableSpan]) -> None:
    expected = encode_spans(recorded)
    with ThreadPoolExecutor(4) as pool:
        assert all(encoded == expected for encoded in pool.map(encode_spans, [recorded] * 8))


def test_another_span_like_the_others_costs_few_calls(kind: str, recorded: list[ReadableSpan]) -> None:
    """Counted in calls of Python functions, which no machine changes; the SDK's encoder makes over a hundred."""
    plain = [span for span in recorded if span.name.startswith("outer") and span.status.is_unset]
    calls = [_calls_to_encode(plain[:64] * times) for times in (2, 4)]
    # A span of ours has properties of its own, which are calls.
    assert (calls[1] - calls[0]) / 128 <= {"sdk": 12, "otelctx": 9}[kind]


def _calls_to_encode(spans: list[ReadableSpan]) -> int:
    calls = 0

    def count(_frame: object, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event == "call"

    sys.setprofile(count)
    try:
        encode_spans(spans)
    finally:
        sys.setprofile(None)
    return calls


class TestStored:
    """A span is read by private names only where these say the same as its properties."""

    def test_the_names_hold_in_this_sdk(self) -> None:
        assert stored.reader_of(ReadableSpan) is stored.read_stored

    def test_a_type_with_properties_of_its_own_is_read_by_them(self) -> None:
        class Renamed(ReadableSpan):
            @property
            def name(self) -> str:
                return "renamed"

        assert stored.reader_of(Renamed) is stored.read_published

    def test_names_that_mean_something_else_are_not_used(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(ReadableSpan, "start_time", property(lambda span: span._start_time + 1))
        stored.names_hold.cache_clear()
        try:
            assert stored.reader_of(ReadableSpan) is stored.read_published
        finally:
            stored.names_hold.cache_clear()

    def test_names_that_are_gone_are_not_missed(self) -> None:
        class Elsewhere(ReadableSpan):
            """A span whose properties are the SDK's, over storage that is not."""

        span = Elsewhere("name", SpanContext(1, 2, is_remote=False), resource=Resource.get_empty())
        assert stored.reader_of(Elsewhere) is stored.read_stored
        assert stored.read_stored(span) == stored.read_published(span)
