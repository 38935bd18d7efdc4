"""
The verbs that read and write the request: `get`, `current` and `set`.

A value written is read back in the same place, always; and by everybody else in the request from then on.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from opentelemetry.context import Context

from otelctx.core.generator_context import GeneratorContext
from otelctx.core.here import NOWHERE, enter, here, raw_context
from otelctx.core.layers import ABSENT, Layer
from otelctx.core.registry import registry
from otelctx.core.request import AmbientRequest, Request, accepted
from otelctx.core.state import BAGGAGE_KEY, ambient_layer, current_layer, layer_here, with_layer
from otelctx.core.watching import value_missing
from otelctx.native import compiled

_logger = logging.getLogger("otelctx")
_UNSET: Final = object()


@compiled
def get(name: str, default: object = _UNSET) -> object:
    """
    Return the value of field *name* here, else *default*, else the field's own default, else None.

    A baggage member that other code set with the OTel API is found under its key.

    Raises:
        UnknownFieldError: in strict mode, for a name that no field declares.

    >>> with bind(step="charge"):
    ...     get("step")
    'charge'
    """
    context = raw_context(NOWHERE)
    if type(context) is not GeneratorContext:
        try:
            # Nearly all that is asked for is found here. What is no layer of ours has no `near`.
            value = context.get(BAGGAGE_KEY).near.get(name)  # type: ignore[attr-defined]
        except AttributeError:
            value = None
        if value is not None:
            return value
    return found(name, default)


def found(name: str, default: object = _UNSET) -> object:
    """Return what `get` does, wherever it has to be looked for."""
    layer = current_layer()
    value = ABSENT if layer is None else layer.find(name)
    if value is not None and value is not ABSENT:
        return value
    declared = registry()
    field = declared.by_name.get(name)
    if value is ABSENT and field is None:
        declared.check(name)
        value = None if layer is None else layer.undeclared().get(name)
    if value is not None and value is not ABSENT:
        return value
    if field is not None and field.required:
        value_missing(field)
    if default is not _UNSET:
        return default
    return None if field is None else field.default


def current() -> Mapping[str, object]:
    """
    Return all that `get` finds here, as a read-only mapping by name.

    >>> with bind(step="charge"):
    ...     current()["step"]
    'charge'
    """
    values: dict[str, object] = {
        field.name: field.default for field in registry().by_name.values() if field.default is not None
    }
    layer = current_layer()
    if layer is not None:
        visible = layer.visible()
        by_name = registry().by_name
        # The name of a field is never answered by a member that happens to have it for its key, nor is a hidden one.
        values.update({k: text for k, text in layer.undeclared().items() if k not in by_name and k not in visible})
        values.update({name: value for name, value in visible.items() if value is not None})
    return MappingProxyType(values)


def set(**values: object) -> None:  # noqa: A001 - the verb's name is the interface
    """
    Give fields a value for the rest of the request, seen by all of it; None takes a value away.

    A value that does not fit its declaration is refused, counted and reported, and the field has none. Outside a
    request the current task becomes one, and a warning says so once.

    Raises:
        UnknownFieldError: in strict mode, for a name that no field declares.

    >>> set(user_id="alice")
    >>> get("user_id")
    'alice'
    """
    changes = accepted(values)
    context = here()
    layer = context.get(BAGGAGE_KEY)
    if type(layer) is not Layer or type(layer.request) is not Request:
        layer = _written_to(context)
    layer.write(changes)


def _written_to(context: Context) -> Layer:
    """Return the layer to write to here, where *context* is what is current; it is entered if it is not there yet."""
    layer = layer_here(context)
    request = None if layer is None else layer.request
    if layer is None or request is None or isinstance(request, AmbientRequest):
        layer = ambient_layer(layer)
        _say_so()
    if context.get(BAGGAGE_KEY) is not layer:
        enter(with_layer(context, layer))
    return layer


_said_so = False


def _say_so() -> None:
    global _said_so  # noqa: PLW0603 - once per process
    if not _said_so:
        _said_so = True
        _logger.warning(
            "otelctx.set was called outside a request: the values hold for the rest of this task. "
            "Open a request with 'with otelctx.request():' to say how long they hold."
        )
