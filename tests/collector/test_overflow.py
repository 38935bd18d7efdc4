"""Baggage that did not fit, from the header to the story that somebody reads."""

from __future__ import annotations

import io

from opentelemetry import baggage
from opentelemetry.context import attach
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace import SpanKind
from rich.console import Console

import otelctx
from otelctx import Field, declare, extract, inject, request
from otelctx.signals.spans import FieldSpanProcessor
from otelctx.story.assembly import assemble
from otelctx.story.rendering import render_story


def tracer(collector, service):
    provider = TracerProvider(resource=Resource.create({"service.name": service}), shutdown_on_exit=False)
    provider.add_span_processor(FieldSpanProcessor())
    provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(endpoint=f"{collector.url}/v1/traces")))
    return provider.get_tracer("tests")


def test_the_story_says_what_stayed_behind_and_where(collector):
    declare(Field("tenant", remote=True, priority=-1))
    gateway, orders = tracer(collector, "gateway"), tracer(collector, "orders")
    headers: dict[str, str] = {}
    with request(request_id="r-1", tenant="acme" * 20), gateway.start_as_current_span("GET", kind=SpanKind.CLIENT):
        attach(baggage.set_baggage("big", "x" * 8120))
        inject(headers)
    received = extract(headers, peer="unix")
    with orders.start_as_current_span("GET /", context=received, kind=SpanKind.SERVER):
        pass
    story = assemble(collector.get("/api/story", request_id="r-1").json())
    ((kind, text),) = [(note.kind, note.text) for note in story.notes]
    assert kind == "baggage_left_out"
    assert text == "1 baggage member (tenant) did not fit the baggage that gateway sent in GET, and stayed behind"
    (server,) = [span for span in story_spans(story) if span.kind == "server"]
    assert server.attributes["otelctx.baggage.dropped"] == 1
    assert otelctx.get("tenant") is None
    drawn = io.StringIO()
    render_story(Console(file=drawn, width=200), story)
    assert text in drawn.getvalue()


def story_spans(story):
    return [entry.record for entry in story.tree.walk() if hasattr(entry.record, "kind")]
