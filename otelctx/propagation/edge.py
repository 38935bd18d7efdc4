"""
The edge: one request for one incoming message, however many layers of instrumentation read its headers.

Whoever stands outermost opens the request and leaves a mark in the ASGI scope or WSGI environ. Every later reader of
the same headers, ours or OpenTelemetry's, finds the mark and continues that request instead of opening a second one.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any, Final

from opentelemetry.context import Context
from opentelemetry.trace import INVALID_SPAN, set_span_in_context

from otelctx.core.layers import Layer
from otelctx.core.request import Request
from otelctx.core.state import layer_in, with_layer

MARK: Final = "otelctx.opened"


def opened_for(carrier: object) -> Context | None:
    """Return the Context that was extracted for *carrier*, if its request was opened already."""
    found = carrier.get(MARK) if type(carrier) is dict else None
    return found if isinstance(found, Context) else None


def open_for(carrier: MutableMapping[str, Any], extracted: Context) -> Context:
    """
    Mark *carrier* as the one that *extracted* came from, and return the Context to serve it in.

    That has the request but not the remote span: instrumentations take a current span for their parent in this
    process, and would make no server span.
    """
    if layer_in(extracted) is None:
        extracted = with_layer(extracted, Layer(Request()))
    carrier[MARK] = extracted
    return set_span_in_context(INVALID_SPAN, extracted)
