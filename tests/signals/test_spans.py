"""Fields on spans: at the start, and later changes on the spans that record meanwhile."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import SpanKind, Tracer

import otelctx
from otelctx import Field
from otelctx.signals.spans import FieldSpanProcessor


class Traced:
    """A tracer and what it has recorded."""

    def __init__(self, **options: Any) -> None:
        provider = TracerProvider(shutdown_on_exit=False, **options)
        provider.add_span_processor(FieldSpanProcessor())
        self._exporter = InMemorySpanExporter()
        provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.tracer: Tracer = provider.get_tracer("tests")

    def attributes(self, name: str) -> dict[str, Any]:
        (span,) = [span for span in self._exporter.get_finished_spans() if span.name == name]
        return dict(span.attributes or {})

    def changes(self, name: str) -> list[dict[str, Any]]:
        (span,) = [span for span in self._exporter.get_finished_spans() if span.name == name]
        return [dict(event.attributes or {}) for event in span.events if event.name == "otelctx.set"]


@pytest.fixture
def traced() -> Traced:
    return Traced()


class TestStart:
    def test_a_span_gets_all_fields_under_their_attribute_names(self, traced: Traced) -> None:
        with otelctx.request(request_id="r", user_id="alice", tier=3), otelctx.bind(step="one"):
            traced.tracer.start_span("x").end()
        assert traced.attributes("x") == {
            "request_id": "r",
            "user.id": "alice",
            "tier": 3,
            "step": "one",
            "otelctx.fields": ("step",),
        }

    def test_explicit_attributes_win(self, traced: Traced) -> None:
        with otelctx.request(user_id="alice"):
            traced.tracer.start_span("x", attributes={"user.id": "explicit"}).end()
        assert traced.attributes("x")["user.id"] == "explicit"

    def test_a_field_hidden_from_spans_is_not_there(self, traced: Traced) -> None:
        otelctx.declare(Field("card", span=False))
        with otelctx.request(card="4111"):
            traced.tracer.start_span("x").end()
            with traced.tracer.start_as_current_span("server", kind=SpanKind.SERVER):
                otelctx.set(card="4222")
        assert "card" not in traced.attributes("x") | traced.attributes("server")
        assert traced.changes("server") == []

    def test_the_context_it_is_started_with_counts(self, traced: Traced) -> None:
        context = otelctx.extract({"x-request-id": "theirs"})
        with otelctx.request(request_id="ours"):
            traced.tracer.start_span("x", context=context).end()
        assert traced.attributes("x")["request_id"] == "theirs"

    def test_outside_a_request_there_is_nothing(self, traced: Traced) -> None:
        traced.tracer.start_span("x").end()
        assert traced.attributes("x") == {}


class TestLaterChanges:
    def test_they_are_on_the_server_span_and_where_they_were_made(self, traced: Traced) -> None:
        start = traced.tracer.start_as_current_span
        with otelctx.request(request_id="r"), start("server", kind=SpanKind.SERVER), start("outer"), start("inner"):
            otelctx.set(user_id="alice")
        assert traced.attributes("server")["user.id"] == traced.attributes("inner")["user.id"] == "alice"
        assert "user.id" not in traced.attributes("outer")
        assert traced.changes("inner") == [{"user.id": "alice"}]
        assert traced.changes("server") == []

    def test_with_no_other_span_the_server_span_tells_of_them(self, traced: Traced) -> None:
        with otelctx.request(request_id="r"), traced.tracer.start_as_current_span("server", kind=SpanKind.SERVER):
            otelctx.set(user_id="alice")
        assert traced.changes("server") == [{"user.id": "alice"}]

    def test_a_child_of_the_server_kind_in_the_same_process_is_no_server_span(self, traced: Traced) -> None:
        start = traced.tracer.start_as_current_span
        with otelctx.request(request_id="r"), start("server", kind=SpanKind.SERVER):
            with start("nested", kind=SpanKind.SERVER):
                pass
            otelctx.set(user_id="alice")
        assert traced.attributes("server")["user.id"] == "alice"

    def test_one_that_has_ended_is_left_alone(self, traced: Traced, caplog: pytest.LogCaptureFixture) -> None:
        with otelctx.request(request_id="r"):
            with traced.tracer.start_as_current_span("server", kind=SpanKind.SERVER):
                pass
            otelctx.set(user_id="alice")
        assert "user.id" not in traced.attributes("server")
        assert caplog.records == []

    def test_one_that_is_not_sampled_costs_nothing(self) -> None:
        traced = Traced(sampler=ALWAYS_OFF)
        with otelctx.request(request_id="r"), traced.tracer.start_as_current_span("server", kind=SpanKind.SERVER):
            otelctx.set(user_id="alice")
            assert otelctx.get("user_id") == "alice"


class TestOrigin:
    def test_a_generated_value_and_a_received_one_are_told_apart(self, traced: Traced) -> None:
        for name, carrier in (("received", {"x-request-id": "r"}), ("generated", {})):
            with otelctx.request(carrier=carrier), traced.tracer.start_as_current_span(name, kind=SpanKind.SERVER):
                pass
            assert traced.attributes(name)["otelctx.request_id.origin"] == name


class TestWriteThroughAndOthers:
    def test_what_code_has_given_the_span_stays(self, traced: Traced) -> None:
        with otelctx.request(), traced.tracer.start_as_current_span("x", kind=SpanKind.SERVER) as span:
            span.set_attribute("user.id", "explicit")
            span.set_attribute("http.response.status_code", 200)
            otelctx.set(user_id="field", **{"http.response.status_code": 500})
        assert traced.attributes("x") | {"user.id": "explicit", "http.response.status_code": 200} == traced.attributes(
            "x"
        )

    def test_a_later_value_takes_the_place_of_an_earlier_one_of_ours(self, traced: Traced) -> None:
        with otelctx.request(user_id="a"), traced.tracer.start_as_current_span("x", kind=SpanKind.SERVER):
            otelctx.set(user_id="b")
            otelctx.set(user_id="c")
        assert traced.attributes("x")["user.id"] == "c"

    def test_a_value_that_is_taken_away_is_told_by_an_event(self, traced: Traced) -> None:
        with otelctx.request(user_id="a"), traced.tracer.start_as_current_span("x", kind=SpanKind.SERVER) as span:
            otelctx.set(user_id=None)
            (event,) = span.events
        assert (event.name, dict(event.attributes)) == ("otelctx.unset", {"otelctx.fields": ("user.id",)})

    def test_most_events_of_a_span_are_left_to_the_application(self, traced: Traced) -> None:
        with otelctx.request(), traced.tracer.start_as_current_span("x", kind=SpanKind.SERVER):
            for number in range(200):
                otelctx.set(step=number)
        assert len(traced.changes("x")) == 32
        assert traced.attributes("x")["step"] == 199
