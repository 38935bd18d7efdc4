"""
The verbs that read and write the request: `get`, `current` and `set`.

A value written is read back in the same place, always; and by everybody else in the request from then on.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from opentelemetry.context import attach, get_current

from otelctx.core.layers import ABSENT, Layer
from otelctx.core.registry import registry
from otelctx.core.request import Request, accepted
from otelctx.core.state import current_layer, enter_ambient, layer_in, with_layer

_logger = logging.getLogger("otelctx")
_UNSET: Final = object()


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
    layer = current_layer()
    declared = registry()
    field = declared.by_name.get(name)
    value = ABSENT if layer is None else layer.find(name)
    if value is ABSENT and field is None:
        declared.check(name)
        value = None if layer is None else layer.undeclared().get(name)
    if value is not None and value is not ABSENT:
        return value
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
        values.update(layer.undeclared())
        values.update({name: value for name, value in tuple(layer.visible().items()) if value is not None})
    return MappingProxyType(values)


def set(**values: object) -> None:  # noqa: A001 - the verb's name is the interface
    """
    Give fields a value for the rest of the request, seen by all of it; None takes a value away.

    A value that does not fit its declaration is refused, counted and reported; the old one stays. Outside a request
    the current task becomes one, and a warning says so once.

    Raises:
        UnknownFieldError: in strict mode, for a name that no field declares.

    >>> set(user_id="alice")
    >>> get("user_id")
    'alice'
    """
    changes = accepted(values)
    layer = current_layer()
    request = None if layer is None else layer.request
    if layer is None or request is None:
        request = _begin_ambient()
        layer = Layer(request, layer)
    if layer is not layer_in(get_current()):
        attach(with_layer(get_current(), layer))
    layer.pierce(changes)
    request.write(changes)


_said_so = False


def _begin_ambient() -> Request:
    global _said_so  # noqa: PLW0603 - once per process
    if not _said_so:
        _said_so = True
        _logger.warning(
            "otelctx.set was called outside a request: the values hold for the rest of this task. "
            "Open a request with 'with otelctx.request():' to say how long they hold."
        )
    request = Request()
    enter_ambient(request)
    return request
