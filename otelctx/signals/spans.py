"""
Fields on spans: all of them at the start, in one write, and later changes on the spans that record meanwhile.

Needs the SDK. A change is written to the server span, which stands for the whole request, and to the span it was made
in, with an event that says where and when.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.trace import Span as ApiSpan
from opentelemetry.trace import SpanKind, get_current_span

from otelctx.core.registry import registry
from otelctx.core.request import Request
from otelctx.core.state import current_layer
from otelctx.signals.attributes import attributes_of, named

SET_EVENT: Final = "otelctx.set"
ORIGIN: Final = "otelctx.{}.origin"

_ENTRY_KINDS: Final = frozenset({SpanKind.SERVER, SpanKind.CONSUMER})


class FieldSpanProcessor(SpanProcessor):
    """Stamps each span that starts with the fields of the Context it starts in."""

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Stamp *span*; an attribute that it has already stays as it is."""
        layer = current_layer(parent_context)
        if layer is None:
            return
        attributes = attributes_of(layer, registry().hidden_from_spans)
        request = layer.request
        if request is not None and _is_entry(span):
            request.entry_span = span
            request.listeners.append(_WriteThrough(span))
            attributes.update(_origins(request))
        given = span.attributes or {}
        span.set_attributes({key: value for key, value in attributes.items() if key not in given})

    def on_end(self, span: ReadableSpan) -> None:
        """Do nothing: a span that ends has frozen."""

    def shutdown(self) -> None:
        """Do nothing: there is nothing to deliver."""

    def force_flush(self, timeout_millis: int = 30_000) -> bool:  # noqa: ARG002 - the interface
        """Return True: there is nothing to deliver."""
        return True


class _WriteThrough:
    """A listener that writes the changes of a request to its server span."""

    __slots__ = ("_span",)

    def __init__(self, span: ApiSpan) -> None:
        self._span = span

    def __call__(self, changes: Mapping[str, object]) -> None:
        attributes = named(changes, registry().hidden_from_spans)
        if not attributes:
            return
        server, here = self._span, get_current_span()
        if server.is_recording():
            server.set_attributes(attributes)
        if not here.is_recording():
            here = server
        if here.is_recording():
            if here is not server:
                here.set_attributes(attributes)
            here.add_event(SET_EVENT, attributes)


def _is_entry(span: Span) -> bool:
    return span.kind in _ENTRY_KINDS and (span.parent is None or span.parent.is_remote)


def _origins(request: Request) -> dict[str, str]:
    return {
        ORIGIN.format(field.name): request.origins[field.name]
        for field in registry().generated
        if field.name in request.origins
    }
