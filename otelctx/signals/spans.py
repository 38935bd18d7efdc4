"""
Fields on spans: all of them at the start, in one write, and later changes on the spans that record meanwhile.

Needs the SDK. The server span stands for the whole request, so changes of the request are written to it.
"""

from __future__ import annotations

from typing import Final

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.trace import SpanKind
from opentelemetry.util.types import AttributeValue

from otelctx.core.registry import registry
from otelctx.core.request import Request
from otelctx.core.state import current_layer, layer_in
from otelctx.core.values import attribute_value
from otelctx.propagation.codec import DROPPED
from otelctx.propagation.overflow import dropped_before
from otelctx.signals.attributes import attributes_of
from otelctx.signals.recording import RecordingSpan
from otelctx.signals.write_through import write_through

ORIGIN: Final = "otelctx.{}.origin"
FORMER: Final = "otelctx.{}.received"
SEAL_FAILURE: Final = "otelctx.seal.failure"
SEAL_HOP: Final = "otelctx.seal.hop"

_ENTRY_KINDS: Final = frozenset({SpanKind.SERVER, SpanKind.CONSUMER})


class FieldSpanProcessor(SpanProcessor):
    """Stamps each span that starts with the fields of the Context it starts in."""

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Stamp *span*; an attribute that it has already stays as it is."""
        layer = current_layer() if parent_context is None else layer_in(parent_context)
        if layer is None:
            return
        attributes = attributes_of(layer, registry().in_spans)
        request = layer.request
        if request is not None:
            if request.link is not None or request.former is not None or request.broken_seal is not None:
                attributes.update(_relations(request, span))
            if span.is_entry() if isinstance(span, RecordingSpan) else _is_entry(span):
                request.entry_span = span
                request.listeners = (write_through,)
                origins = request.origins
                for field in registry().generated:
                    if field.name in origins:
                        attributes[ORIGIN.format(field.name)] = origins[field.name]
                if DROPPED in request.carried:
                    attributes.update(dropped_before(request.carried))
        if isinstance(span, RecordingSpan):
            span.stamp(attributes)
        else:
            given = span.attributes or {}
            span.set_attributes({key: value for key, value in attributes.items() if key not in given})

    def on_end(self, span: ReadableSpan) -> None:
        """Do nothing: a span that ends has frozen."""

    def shutdown(self) -> None:
        """Do nothing: there is nothing to deliver."""

    def force_flush(self, timeout_millis: int = 30_000) -> bool:  # noqa: ARG002 - the interface
        """Return True: there is nothing to deliver."""
        return True


def _is_entry(span: Span) -> bool:
    return span.kind in _ENTRY_KINDS and (span.parent is None or span.parent.is_remote)


def _relations(request: Request, span: Span) -> dict[str, AttributeValue]:
    """Relate *span*, the first of *request*, to what the request came with and does not continue."""
    link, former, broken = request.link, request.former, request.broken_seal
    request.link = request.former = request.broken_seal = None
    if link is not None:
        span.add_link(link)
    values = dict(former or {})
    registry().in_spans.redact(values)
    shown = {name: attribute_value(value) for name, value in values.items()}
    told: dict[str, AttributeValue] = {FORMER.format(name): value for name, value in shown.items() if value is not None}
    if broken is not None:
        told |= dict(zip((SEAL_FAILURE, SEAL_HOP), broken, strict=True))
    return told
