"""
Fields on spans: all of them at the start, in one write, and later changes on the spans that record meanwhile.

Needs the SDK. The server span stands for the whole request, so changes of the request are written to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Final

from opentelemetry.context import Context
from opentelemetry.sdk.trace import Span, SpanProcessor
from opentelemetry.trace import SpanKind
from opentelemetry.util.types import AttributeValue

from otelctx.core.registry import registry
from otelctx.core.request import Request
from otelctx.core.state import current_layer, layer_in
from otelctx.core.values import attribute_value
from otelctx.native import compiled
from otelctx.propagation.codec import DROPPED
from otelctx.propagation.overflow import dropped_before
from otelctx.signals.attributes import attributes_of
from otelctx.signals.recording import RecordingSpan
from otelctx.signals.write_through import write_through

ORIGIN: Final = "otelctx.{}.origin"
FORMER: Final = "otelctx.{}.received"
SEAL_FAILURE: Final = "otelctx.seal.failure"
SEAL_HOP: Final = "otelctx.seal.hop"

_SERVER: Final = SpanKind.SERVER
_CONSUMER: Final = SpanKind.CONSUMER


class FieldSpanProcessor(SpanProcessor):
    """Stamps each span that starts with the fields of the Context it starts in."""

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Stamp *span*; an attribute that it has already stays as it is."""
        stamp_fields(span, parent_context)

    def shutdown(self) -> None:
        """Do nothing: there is nothing to deliver."""

    def force_flush(self, timeout_millis: int = 30_000) -> bool:  # noqa: ARG002 - the interface
        """Return True: there is nothing to deliver."""
        return True


LISTENERS: Final = (write_through,)


@compiled
def stamp_fields(span: Span, parent_context: Context | None) -> None:
    """Stamp *span*, which starts in *parent_context*, or here."""
    layer = current_layer() if parent_context is None else layer_in(parent_context)
    if layer is None:
        return
    declared, request = registry(), layer.request
    is_entry = request is not None and _is_entry(span)
    # Before the application sets anything, they are asked for once.
    _stamp(span, attributes_of(layer, declared.in_spans, once=is_entry))
    if request is None:
        return
    if request.link is not None or request.former is not None or request.broken_seal is not None:
        _stamp(span, relations(request, span))
    if is_entry:
        request.entry_span = span
        request.listeners = LISTENERS
        origins = request.origins
        for field in declared.generated:
            origin = origins.get(field.name)
            if origin is not None:
                _stamp(span, origin_of(field.name, origin))
        if DROPPED in request.carried:
            _stamp(span, dropped_before(request.carried))


def _stamp(span: Span, attributes: Mapping[str, AttributeValue]) -> None:
    """Write those of *attributes*, which are clean, that *span* does not have yet."""
    if type(span) is RecordingSpan:
        span.stamp(attributes)
    else:
        given = span.attributes or {}
        span.set_attributes({key: value for key, value in attributes.items() if key not in given})


@cache
def origin_of(name: str, origin: str) -> Mapping[str, AttributeValue]:
    """Return the attribute that says where the value of field *name* is from."""
    return {ORIGIN.format(name): origin}


def _is_entry(span: Span) -> bool:
    """Tell whether *span* stands for what came in: a server's or consumer's, and the first one in this process."""
    kind, parent = span.kind, span.parent
    # The third part of a SpanContext, which is a tuple, is whether it is remote.
    return (kind is _SERVER or kind is _CONSUMER) and (parent is None or parent[2])


def relations(request: Request, span: Span) -> dict[str, AttributeValue]:
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
