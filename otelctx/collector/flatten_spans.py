"""
Spans as rows.

A span without a valid trace and span id is rejected alone; all others of its batch are stored.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from otelctx.collector.batch import Batch, Row, empty_batch, ids_of, valid_id
from otelctx.collector.values import encode, mapping, moment

if TYPE_CHECKING:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
    from opentelemetry.proto.trace.v1.trace_pb2 import Span

COLUMNS = (
    "trace_id", "span_id", "parent_span_id", "name", "kind", "service", "scope", "start", "end",
    "status_code", "status_message", "request_id", "user_id", "attributes", "events", "links",
)  # fmt: skip


def flatten_spans(request: ExportTraceServiceRequest, body: bytes) -> Batch:
    """Make the batch of an export request; *body* is what was received."""
    batch = empty_batch("traces", body)
    for resource_spans in request.resource_spans:
        if not any(len(scope_spans.spans) for scope_spans in resource_spans.scope_spans):
            continue
        group = batch.group_for(resource_spans.resource)
        for scope_spans in resource_spans.scope_spans:
            scope = scope_spans.scope.name
            for span in scope_spans.spans:
                row = span_row(span, group.service, scope, batch)
                if row is None:
                    batch.rejected += 1
                else:
                    batch.add(group, row)
    return batch


def span_row(span: Span, service: str, scope: str, batch: Batch) -> Row | None:
    """Make one row in the order of COLUMNS and note its story, or None if the span has no valid ids."""
    trace_id, span_id = valid_id(span.trace_id, 16), valid_id(span.span_id, 8)
    if trace_id is None or span_id is None:
        return None
    attributes = mapping(span.attributes)
    ids = ids_of(trace_id, attributes)
    start, end = moment(span.start_time_unix_nano), moment(span.end_time_unix_nano)
    batch.note(ids, service, start, end)
    return (
        trace_id, span_id, valid_id(span.parent_span_id, 8), span.name, span.kind, service, scope, start, end,
        span.status.code, span.status.message, ids.request_id, ids.user_id,
        encode(attributes), events_of(span), links_of(span),
    )  # fmt: skip


def events_of(span: Span) -> str:
    """Write the span's events as the query interface gives them."""
    if not span.events:
        return "[]"
    return encode(
        [
            {"name": event.name, "time_unix_nano": str(event.time_unix_nano), "attributes": mapping(event.attributes)}
            for event in span.events
        ]
    )


def links_of(span: Span) -> str:
    """Write the span's links as the query interface gives them."""
    if not span.links:
        return "[]"
    return encode(
        [
            {"trace_id": link.trace_id.hex(), "span_id": link.span_id.hex(), "attributes": mapping(link.attributes)}
            for link in span.links
        ]
    )
