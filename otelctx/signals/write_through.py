"""
Changes of a request, written through to the span that stands for it.

A change is written to the span that it is made in too, with an event that says where and when.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from opentelemetry.trace import Span
from opentelemetry.util.types import AttributeValue

from otelctx.core.here import here, span_in
from otelctx.core.registry import registry
from otelctx.core.request import Request
from otelctx.native import compiled
from otelctx.signals.attributes import FIELDS, named
from otelctx.signals.recording import RecordingSpan

SET_EVENT: Final = "otelctx.set"
UNSET_EVENT: Final = "otelctx.unset"

# A span holds so many events in all; most of them are left to the application.
MOST_EVENTS: Final = 32


@compiled
def write_through(request: Request, changes: Mapping[str, object], before: Mapping[str, object]) -> None:
    """Write *changes* to the entry span of *request* and to the current span, those of them that record."""
    view = registry().in_spans
    attributes = named(changes, view, request.hashes)
    old = named(before, view, {}) if before else {}
    withdrawn = [name for name in old if name not in attributes]
    entry, inner = request.entry_span, span_in(here())
    teller = write(entry, attributes, old)
    if inner is not entry:
        teller = write(inner, attributes, old) or teller
    if request.writes <= MOST_EVENTS and teller is not None:
        if attributes:
            teller.add_event(SET_EVENT, attributes)
        if withdrawn:
            teller.add_event(UNSET_EVENT, {FIELDS: sorted(withdrawn)})


def write(span: Span, attributes: Mapping[str, AttributeValue], old: Mapping[str, AttributeValue]) -> Span | None:
    """Write *attributes* to *span*, but for those that it has from somebody else; return it if it records."""
    if type(span) is RecordingSpan:
        return span if span.rewrite(attributes, old) else None
    if not span.is_recording():
        return None
    given = getattr(span, "attributes", None) or {}
    span.set_attributes(
        {name: value for name, value in attributes.items() if name not in given or given[name] == old.get(name)}
    )
    return span
