"""
The place in OpenTelemetry's Context where otelctx keeps its state, and how to read it there.

One layer stands under two keys: under OTel's own baggage key, where it is the baggage, and under ours, from where it
is found again when other code has cleared or replaced the baggage.
"""

from __future__ import annotations

from contextvars import ContextVar, Token
from typing import Final

from opentelemetry import baggage
from opentelemetry.context import Context, create_key, get_current

from otelctx.core.layers import Layer
from otelctx.core.request import Request

_LAYER_KEY: Final = create_key("otelctx-layer")
# Public API only: the one key that `set_baggage` writes.
_BAGGAGE_KEY: Final = next(iter(baggage.set_baggage("k", "v", Context())))

# The request of a task that called `set` outside any. It is not in the OTel Context, so that the end of a span,
# which puts an earlier Context back, does not end it.
_ambient: ContextVar[Request | None] = ContextVar("otelctx_ambient_request", default=None)


def layer_in(context: Context) -> Layer | None:
    """Return the innermost layer of *context*, or None where neither a request nor baggage is."""
    found = context.get(_BAGGAGE_KEY)
    if type(found) is Layer:
        return found
    kept = context.get(_LAYER_KEY)
    outer = kept if type(kept) is Layer else None
    if found is None:
        return outer
    layer = Layer(None if outer is None else outer.request, outer)
    layer.clear()
    if isinstance(found, dict):
        layer.update(found)
    return layer


def current_layer(context: Context | None = None) -> Layer | None:
    """Return the layer that code sees here, or in *context* if one is given."""
    layer = layer_in(get_current() if context is None else context)
    if layer is not None and layer.request is not None:
        return layer
    ambient = _ambient.get() if context is None else None
    return layer if ambient is None else Layer(ambient, layer)


def current_request(context: Context | None = None) -> Request | None:
    """Return the request that code is in here, or in *context* if one is given."""
    layer = current_layer(context)
    return None if layer is None else layer.request


def with_layer(context: Context, layer: Layer | None) -> Context:
    """Return *context* with *layer* in the place of what it had; None leaves neither a request nor baggage."""
    result = Context(context)
    if layer is None:
        dict.pop(result, _LAYER_KEY, None)
        dict.pop(result, _BAGGAGE_KEY, None)
    else:
        dict.update(result, {_LAYER_KEY: layer, _BAGGAGE_KEY: layer})
    return result


def enter_ambient(request: Request) -> Token[Request | None]:
    """Make *request* that of the current task, until the task ends."""
    return _ambient.set(request)
