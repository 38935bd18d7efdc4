"""
The place in OpenTelemetry's Context where otelctx keeps its state, and how to read it there.

One layer stands under two keys: under OTel's own baggage key, where it is the baggage, and under ours, from where it
is found again when other code has cleared or replaced the baggage.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar, Token
from typing import Any, Final

from opentelemetry import baggage
from opentelemetry.context import Context, create_key

from otelctx.core.here import CURRENT, NOWHERE, here, put
from otelctx.core.layers import Layer
from otelctx.core.request import AmbientRequest, Request
from otelctx.native import compiled

LAYER_KEY: Final = create_key("otelctx-layer")
# Public API only: the one key that `set_baggage` writes.
BAGGAGE_KEY: Final = next(iter(baggage.set_baggage("k", "v", Context())))


class _Ambient:
    """The request of a task that called `set` outside any, and the proof of which task that was."""

    __slots__ = ("request", "token")

    token: Token[_Ambient | None]

    def __init__(self, request: AmbientRequest) -> None:
        self.request = request


# It is not in the OTel Context, so that the end of a span, which puts an earlier Context back, does not end it.
_ambient: ContextVar[_Ambient | None] = ContextVar("otelctx_ambient_request", default=None)


@compiled
def layer_in(context: Context) -> Layer | None:
    """Return the innermost layer of *context*, or None where neither a request nor baggage is."""
    found = context.get(BAGGAGE_KEY)
    return found if type(found) is Layer else derived_layer_in(context, found)


def derived_layer_in(context: Context, found: object) -> Layer | None:
    """Return the layer of *context*, where other code has *found* for the baggage, or none."""
    kept = context.get(LAYER_KEY)
    outer = kept if type(kept) is Layer else None
    if found is None:
        return outer
    layer = Layer(None if outer is None else outer.request, outer)
    layer.clear()
    if isinstance(found, dict):
        layer.update(found)
    return layer


def baggage_in(context: Context) -> Mapping[str, object]:
    """Return the baggage of *context*, as `opentelemetry.baggage.get_all` does."""
    found = context.get(BAGGAGE_KEY)
    return found if isinstance(found, dict) else {}


def current_layer(context: Context | None = None) -> Layer | None:
    """Return the layer that code sees here, or in *context* if one is given."""
    if context is not None:
        return layer_in(context)
    return layer_here(here())


@compiled
def layer_here(context: Context) -> Layer | None:
    """Return the layer that code sees here, where *context* is what is current."""
    layer = context.get(BAGGAGE_KEY)
    # Nearly always: nothing to derive, and in a request that was opened.
    if type(layer) is Layer and type(layer.request) is Request:
        return layer
    return current_layer_of(layer_in(context))


def current_layer_of(layer: Layer | None) -> Layer | None:
    """Return the layer that code sees here, whose Context has *layer*."""
    held = None if layer is None else layer.request
    if held is not None and not isinstance(held, AmbientRequest):
        return layer
    ambient = _ambient.get()
    if ambient is None or held is ambient.request:
        return layer
    # The Context here is from before the first `set`, or from the task that started this one.
    return Layer(ambient.request) if layer is None else layer.on(ambient.request, ambient.request.written)


def current_request(context: Context | None = None) -> Request | None:
    """Return the request that code is in here, or in *context* if one is given."""
    layer = current_layer() if context is None else layer_in(context)
    return None if layer is None else layer.request


@compiled
def with_layer(context: Context, layer: Layer | None) -> Context:
    """Return *context* with *layer* in the place of what it had; None leaves neither a request nor baggage."""
    result = Context(context)
    if layer is None:
        dict.pop(result, LAYER_KEY, None)
        dict.pop(result, BAGGAGE_KEY, None)
    else:
        put(result, LAYER_KEY, layer)
        put(result, BAGGAGE_KEY, layer)
    return result


def ambient_layer(layer: Layer | None) -> Layer:
    """
    Return *layer* on the ambient request of this task, which begins here if it has none.

    A task starts with what the one that started it had set, and keeps what it sets itself to itself.
    """
    ambient = _ambient.get()
    if ambient is not None and _is_of_here(ambient):
        request = ambient.request
    else:
        request = AmbientRequest(None if layer is None else layer.request)
        ambient = _Ambient(request)
        ambient.token = _ambient.set(ambient)
    if layer is None:
        return Layer(request)
    return layer if layer.request is request else layer.on(request)


class Outside:
    """A block in no request at all, neither a request's nor the ambient one of this task; one use at a time."""

    __slots__ = ("_ambient", "_token", "_variable")

    def __init__(self) -> None:
        """Prepare the block, once: it is for where every nanosecond counts."""
        # A runtime context of somebody's own, named in OTEL_PYTHON_CONTEXT, is left alone.
        self._variable = CURRENT if isinstance(CURRENT, ContextVar) else ContextVar[Any]("otelctx_nowhere")
        self._token: Token[Any] | None = None
        self._ambient: Token[Any] | None = None

    def __enter__(self) -> None:
        """Leave where we are."""
        self._ambient = _ambient.set(None)
        self._token = self._variable.set(NOWHERE)

    def __exit__(self, *_: object) -> None:
        """Come back."""
        token, ambient, self._token, self._ambient = self._token, self._ambient, None, None
        if token is None or ambient is None:
            return
        try:
            self._variable.reset(token)
            _ambient.reset(ambient)
        except ValueError:  # left in another context, where nothing was changed
            return


def _is_of_here(ambient: _Ambient) -> bool:
    # A token resets its variable only in the `contextvars.Context` that it is from, and every task has one of its own.
    try:
        _ambient.reset(ambient.token)
    except ValueError:
        return False
    ambient.token = _ambient.set(ambient)
    return True
