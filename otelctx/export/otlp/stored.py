"""
Stored spans: what a span holds, read from where the SDK keeps it.

Through its public properties, reading a span copies its events and links under a lock, also when there are none, and
asks for types at each count. That takes 3 µs, where all of the encoding is to take 5. So spans of types that publish
just what they store are read by the private names below, ours by a call, and all others through their properties.
Whether the names still mean what they did is tried out once, on a span made for it.

Private names used, in opentelemetry-sdk 1.40 to 1.45: of `opentelemetry.sdk.trace.ReadableSpan`, `_context`, `_parent`,
`_name`, `_kind`, `_start_time`, `_end_time`, `_attributes`, `_events`, `_links`, `_status`, `_resource` and
`_instrumentation_scope`, the last two in the compiled twin alone; of `opentelemetry.attributes.BoundedAttributes`,
`_dict`; of `opentelemetry.sdk.util.BoundedList`, `_dq`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan, Span
from opentelemetry.sdk.util import BoundedList
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, TraceFlags

from otelctx.export.otlp.attributes import snapshot
from otelctx.native import compiled
from otelctx.signals.recording import RecordingSpan
from otelctx.signals.span_state import SpanContents

_PROPERTIES: Final = (
    "attributes",
    "dropped_attributes",
    "dropped_events",
    "dropped_links",
    "end_time",
    "events",
    "instrumentation_scope",
    "kind",
    "links",
    "name",
    "parent",
    "resource",
    "start_time",
    "status",
)


def read_published(span: ReadableSpan) -> SpanContents:
    """Return what the public properties of *span* say."""
    return (
        span.get_span_context(),  # type: ignore[return-value] # a span that was started has one
        span.parent,
        span.name,
        span.kind,
        span.start_time,
        span.end_time,
        snapshot(span.attributes),
        span.dropped_attributes,
        span.events,
        span.dropped_events,
        span.links,
        span.dropped_links,
        span.status,
    )


@compiled
def read_stored(span: ReadableSpan) -> SpanContents:
    """Return the same from where the SDK's spans store it, as far as *span* does."""
    try:
        attributes: Any = span._attributes  # noqa: SLF001 - see the module's docstring
        events: Any = span._events  # noqa: SLF001 - the same
        links: Any = span._links  # noqa: SLF001 - the same
        return (
            span._context,  # type: ignore[return-value] # noqa: SLF001 - the same
            span._parent,  # noqa: SLF001 - the same
            span._name,  # noqa: SLF001 - the same
            span._kind,  # noqa: SLF001 - the same
            span._start_time,  # noqa: SLF001 - the same
            span._end_time,  # noqa: SLF001 - the same
            attributes._dict if span._end_time else attributes.copy(),  # noqa: SLF001 - the same
            attributes.dropped,
            tuple(events) if events._dq else (),  # noqa: SLF001 - the same; its length is a call
            events.dropped,
            tuple(links) if links._dq else (),  # noqa: SLF001 - the same
            links.dropped,
            span._status,  # noqa: SLF001 - the same
        )
    except AttributeError:
        # A span that somebody made by hand, with a dict or a tuple in it.
        return read_published(span)


class Readers(dict[type, Callable[[Any], SpanContents]]):
    """How to read each type of span: those of one batch, so that no type is held for longer."""

    def __missing__(self, kind: type) -> Callable[[Any], SpanContents]:
        """Find out how to read spans of *kind*."""
        reader = self[kind] = reader_of(kind)
        return reader


def reader_of(kind: type[Any]) -> Callable[[Any], SpanContents]:
    """Return the quickest function that reads spans of that type right."""
    if kind is RecordingSpan:
        return RecordingSpan.contents
    is_plain = all(getattr(kind, name) is getattr(ReadableSpan, name) for name in _PROPERTIES)
    is_plain = is_plain and kind.get_span_context in (ReadableSpan.get_span_context, Span.get_span_context)
    return read_stored if is_plain and names_hold() else read_published


@lru_cache(maxsize=1)
def names_hold() -> bool:
    """Tell whether a span of this SDK stores what it publishes under the names that are read here."""
    link = Link(SpanContext(3, 4, is_remote=False, trace_flags=TraceFlags(1)))
    attributes = BoundedAttributes(attributes={"key": "value"})
    attributes.dropped = 1
    span = ReadableSpan(
        "name",
        SpanContext(1, 2, is_remote=False),
        parent=link.context,
        resource=Resource.get_empty(),
        attributes=attributes,
        events=BoundedList.from_seq(1, [Event("first", timestamp=5), Event("second", timestamp=6)]),
        links=BoundedList.from_seq(1, [link, link, link]),
        kind=SpanKind.CLIENT,
        status=Status(),
        start_time=7,
        end_time=8,
        instrumentation_scope=InstrumentationScope("scope"),
    )
    stored, published = read_stored(span), read_published(span)
    return (
        all(map(_say_the_same, stored, published))
        and getattr(span, "_resource", None) is span.resource
        and getattr(span, "_instrumentation_scope", None) is span.instrumentation_scope
    )


def _say_the_same(stored: object, published: object) -> bool:
    if isinstance(stored, Mapping) and isinstance(published, Mapping):
        return dict(stored) == dict(published)
    return stored == published
