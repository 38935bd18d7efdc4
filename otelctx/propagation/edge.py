"""
The edge: one request for one incoming message, however many layers of instrumentation read its headers.

Whoever stands outermost opens the request and leaves a mark in the ASGI scope or WSGI environ. Every later reader of
the same headers, ours or OpenTelemetry's, finds the mark and continues that request instead of opening a second one.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any, Final

from opentelemetry.context import Context, get_current
from opentelemetry.trace import INVALID_SPAN, Span, get_current_span, set_span_in_context

from otelctx.core.here import with_span
from otelctx.core.layers import ABSENT, Layer
from otelctx.core.registry import registry
from otelctx.core.request import Request
from otelctx.core.state import current_request, layer_in, with_layer
from otelctx.core.values import wire_text
from otelctx.native import compiled

MARK: Final = "otelctx.opened"
SPAN_MARK: Final = "otelctx.server_span"


def opened_for(carrier: object) -> Context | None:
    """Return the Context that was extracted for *carrier*, if its request was opened already."""
    found = carrier.get(MARK) if type(carrier) is dict else None
    return found if isinstance(found, Context) else None


def continued(opened: Context) -> Context:
    """Return the Context for who reads what is *opened* already: the current one, with the remote span as its span."""
    here = get_current()
    if current_request(here) is not current_request(opened):
        return opened
    return set_span_in_context(get_current_span(opened), here)


@compiled
def opened_at(carrier: MutableMapping[str, Any], extracted: Context) -> tuple[Layer, Context]:
    """
    Mark *carrier* as the one that *extracted* came from.

    Returns:
        The layer of its request, and *extracted*, which has a request now if it had none.
    """
    layer = layer_in(extracted)
    if layer is None:
        layer = Layer(Request())
        extracted = with_layer(extracted, layer)
    if layer.request is not None:
        layer.request.served = True
    carrier[MARK] = extracted
    return layer, extracted


@compiled
def without_span(opened: Context) -> Context:
    """
    Return *opened* without the remote span, to serve its request in.

    Instrumentations take a current span for their parent in this process, and would make no server span.
    """
    return with_span(opened, INVALID_SPAN)


@compiled
def entry_span_of(layer: Layer) -> Span:
    """Return the span that stands for the request of *layer*, or the invalid one."""
    return INVALID_SPAN if layer.request is None else layer.request.entry_span


@compiled
def echoed_headers(layer: Layer) -> list[tuple[str, str]]:
    """Return the headers that the response to the request of *layer* carries, name and text."""
    declared = registry()
    view = declared.on_wire
    headers: list[tuple[str, str]] = []
    for field in declared.echoed:
        value = layer.find(field.name)
        if value is None or value is ABSENT:
            continue
        text = value if type(value) is str else wire_text(value)
        if view.hidden or view.altered:
            shown = {field.baggage_key: text}
            view.redact(shown, layer.hashes())
            text = shown.get(field.baggage_key, "")
        if field.header and is_visible(text):
            headers.append((field.header, text))
    return headers


def is_visible(text: str) -> bool:
    """
    Tell whether the header of a field may hold *text*: visible ASCII, with spaces only inside; there is no encoding.

    >>> is_visible("light blue"), is_visible(" red"), is_visible("Amélie"), is_visible("")
    (True, False, False, False)
    """
    return text != "" and text.isascii() and text.isprintable() and text.strip(" ") == text
