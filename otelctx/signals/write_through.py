"""
Changes of a request, written through to the span that stands for it.

A change is written to the span that it is made in too, with an event that says where and when.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from opentelemetry.trace import get_current_span

from otelctx.core.registry import registry
from otelctx.core.request import Request
from otelctx.signals.attributes import named

SET_EVENT: Final = "otelctx.set"


def write_through(request: Request, changes: Mapping[str, object]) -> None:
    """Write *changes* to the entry span of *request* and to the current span, those of them that record."""
    attributes = named(changes, registry().hidden_from_spans)
    if not attributes:
        return
    entry, here = request.entry_span, get_current_span()
    if entry.is_recording():
        entry.set_attributes(attributes)
    if not here.is_recording():
        here = entry
    if here.is_recording():
        if here is not entry:
            here.set_attributes(attributes)
        here.add_event(SET_EVENT, attributes)
