"""
Spans as the bytes of an ExportTraceServiceRequest.

Field numbers are those of opentelemetry/proto/trace/v1/trace.proto.
"""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct
from typing import Final

from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.trace import DEFAULT_TRACE_STATE, Link, SpanKind, Status, StatusCode

from otelctx.export.otlp.attributes import AttributeEncoder, snapshot
from otelctx.export.otlp.grouping import Refused, encode_each, report_refused
from otelctx.export.otlp.stored import Readers
from otelctx.export.otlp.wire import (
    FIXED32,
    FIXED64,
    LENGTH,
    VARINT,
    fixed32,
    fixed64_field,
    length_delimited,
    tag,
    text_field,
    uint32_field,
    varint,
)
from otelctx.native import compiled

# Span. An id is a field of known length: its tag here is with the length.
_TRACE_ID: Final = tag(1, LENGTH) + varint(16)
_SPAN_ID: Final = tag(2, LENGTH) + varint(8)
_TRACE_STATE: Final = tag(3, LENGTH)
_PARENT_SPAN_ID: Final = tag(4, LENGTH) + varint(8)
_NAME: Final = tag(5, LENGTH)
_KIND: Final = tag(6, VARINT)
_START: Final = tag(7, FIXED64)
_END: Final = tag(8, FIXED64)
_ATTRIBUTES: Final = 9
_DROPPED_ATTRIBUTES: Final = tag(10, VARINT)
_EVENTS: Final = tag(11, LENGTH)
_DROPPED_EVENTS: Final = tag(12, VARINT)
_LINKS: Final = tag(13, LENGTH)
_DROPPED_LINKS: Final = tag(14, VARINT)
_STATUS: Final = tag(15, LENGTH)
_FLAGS: Final = tag(16, FIXED32)
# Span.Event
_EVENT_TIME: Final = tag(1, FIXED64)
_EVENT_NAME: Final = tag(2, LENGTH)
_EVENT_ATTRIBUTES: Final = 3
_EVENT_DROPPED_ATTRIBUTES: Final = tag(4, VARINT)
# Span.Link
_LINK_ATTRIBUTES: Final = 4
_LINK_DROPPED_ATTRIBUTES: Final = tag(5, VARINT)
_LINK_FLAGS: Final = tag(6, FIXED32)
# Status
_MESSAGE: Final = tag(2, LENGTH)
_CODE: Final = tag(3, VARINT)

# Members of an enum are there for good; their ids are quicker to look up than they are, whose hash is a call.
KINDS: Final = {id(kind): _KIND + varint(kind.value + 1) for kind in SpanKind}
_CODES: Final = {id(code): _CODE + varint(code.value) if code.value else b"" for code in StatusCode}
# SpanFlags: it is known whether the parent, or the span linked to, is remote; and it is.
_LOCAL_BITS: Final = fixed32(0x100)
_REMOTE_BITS: Final = fixed32(0x300)
_LOCAL: Final = _FLAGS + _LOCAL_BITS
_REMOTE: Final = _FLAGS + _REMOTE_BITS
_LOCAL_LINK: Final = _LINK_FLAGS + _LOCAL_BITS
_REMOTE_LINK: Final = _LINK_FLAGS + _REMOTE_BITS
# Both times at once, each with its tag of one byte.
_times: Final = Struct("<cQcQ").pack


def encode_spans(spans: Sequence[ReadableSpan], refused: Refused = report_refused) -> bytes:
    """
    Return the serialised ExportTraceServiceRequest of *spans*.

    Args:
        spans: what the SDK hands to an exporter.
        refused: told of each span that cannot be encoded and is left out.
    """
    return encode_each(spans, SpanEncoder(), refused)


@compiled
class SpanEncoder:
    """Encodes the spans of one batch."""

    __slots__ = (
        "_attributes",
        "_event_attributes",
        "_link_attributes",
        "_names",
        "_readers",
        "_status",
        "_status_field",
    )

    def __init__(self) -> None:
        """Begin with nothing known."""
        self._attributes = AttributeEncoder(_ATTRIBUTES)
        self._event_attributes = AttributeEncoder(_EVENT_ATTRIBUTES)
        self._link_attributes = AttributeEncoder(_LINK_ATTRIBUTES)
        self._names: dict[str, bytes] = {}
        self._readers = Readers()
        # Nearly all spans of a batch have the one status that the SDK begins with.
        self._status: Status | None = None
        self._status_field = b""

    def encode(self, span: ReadableSpan) -> bytes:
        """Return the body of a Span."""
        (
            context,
            parent,
            name,
            kind,
            start,
            end,
            attributes,
            dropped_attributes,
            events,
            dropped_events,
            links,
            dropped_links,
            status,
        ) = self._readers[type(span)](span)
        trace_id, span_id, _, _, trace_state, _ = context
        state = before_parent_id = parent_id = b""
        after = _LOCAL
        if trace_state is not DEFAULT_TRACE_STATE and trace_state:
            state = text_field(_TRACE_STATE, ",".join(f"{key}={value}" for key, value in trace_state.items()))
        if parent is not None:
            _, number, is_remote, _, _, _ = parent
            before_parent_id, parent_id = _PARENT_SPAN_ID, number.to_bytes(8, "big")
            if is_remote:
                after = _REMOTE
        try:
            name_field = self._names[name]
        except KeyError:
            name_field = self._names[name] = text_field(_NAME, name)
        if start and end:
            times = _times(_START, start, _END, end)
        else:
            times = fixed64_field(_START, start) + fixed64_field(_END, end)
        parts = [
            _TRACE_ID,
            trace_id.to_bytes(16, "big"),
            _SPAN_ID,
            span_id.to_bytes(8, "big"),
            state,
            before_parent_id,
            parent_id,
            name_field,
            KINDS[id(kind)],
            times,
        ]
        self._attributes.add_to(parts, attributes)
        if dropped_attributes:
            parts.append(uint32_field(_DROPPED_ATTRIBUTES, dropped_attributes))
        if events or dropped_events:
            parts += [length_delimited(_EVENTS, self._event(event)) for event in events]
            parts.append(uint32_field(_DROPPED_EVENTS, dropped_events))
        if links or dropped_links:
            parts += [length_delimited(_LINKS, self._link(link)) for link in links]
            parts.append(uint32_field(_DROPPED_LINKS, dropped_links))
        if status is not self._status:
            self._status_field, self._status = status_field(status), status
        parts.append(self._status_field)
        parts.append(after)
        return b"".join(parts)

    def _event(self, event: Event) -> bytes:
        parts = [fixed64_field(_EVENT_TIME, event.timestamp), text_field(_EVENT_NAME, event.name)]
        self._event_attributes.add_to(parts, snapshot(event.attributes))
        if dropped := event.dropped_attributes:
            parts.append(uint32_field(_EVENT_DROPPED_ATTRIBUTES, dropped))
        return b"".join(parts)

    def _link(self, link: Link) -> bytes:
        context = link.context
        parts = [_TRACE_ID, context.trace_id.to_bytes(16, "big"), _SPAN_ID, context.span_id.to_bytes(8, "big")]
        self._link_attributes.add_to(parts, snapshot(link.attributes))
        if dropped := link.dropped_attributes:
            parts.append(uint32_field(_LINK_DROPPED_ATTRIBUTES, dropped))
        parts.append(_REMOTE_LINK if context.is_remote else _LOCAL_LINK)
        return b"".join(parts)


def status_field(status: Status | None) -> bytes:
    """Return the field of *status*; nothing for None."""
    if status is None:
        return b""
    code = _CODES[id(status.status_code)]
    return length_delimited(_STATUS, text_field(_MESSAGE, status.description) + code)
