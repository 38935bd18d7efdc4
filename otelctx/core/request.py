"""
The request: one shared, mutable cell that lives as long as one unit of work.

Everybody in the request holds the same cell, so a value written anywhere is seen everywhere, whatever became of the
OTel Context in between. Two requests never share one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from otelctx.core.registry import registry

GENERATED: Final = "generated"
RECEIVED: Final = "received"

Listener = Callable[[Mapping[str, object]], None]


class Request:
    """
    The values of one unit of work.

    Attributes:
        values: by field name, ours; None hides a default and is never sent.
        carried: by baggage key, members that no field declares; they pass through as they came.
        origins: by field name, ``generated`` or ``received``, for values that were there at the start.
        listeners: called with each change after it was made; they must not raise.
    """

    __slots__ = ("__weakref__", "carried", "listeners", "origins", "values")

    def __init__(self, values: dict[str, object] | None = None, carried: dict[str, str] | None = None) -> None:
        """Open a request that starts with *values*, received from elsewhere, and generates what is missing."""
        self.values: dict[str, object] = {} if values is None else values
        self.carried: dict[str, str] = {} if carried is None else carried
        self.origins: dict[str, str] = dict.fromkeys(self.values, RECEIVED)
        self.listeners: list[Listener] = []
        for field in registry().generated:
            if self.values.get(field.name) is None and field.generate is not None:
                self.values[field.name] = field.generate()
                self.origins[field.name] = GENERATED

    def write(self, changes: Mapping[str, object]) -> None:
        """Make *changes* for everybody in the request, and tell the listeners."""
        self.values.update(changes)
        for listener in tuple(self.listeners):
            listener(changes)


def accepted(values: Mapping[str, object]) -> dict[str, object]:
    """
    Return *values* as their fields hold them, without those that do not fit.

    Raises:
        UnknownFieldError: in strict mode, for an undeclared name; nothing was changed then.
    """
    declared = registry()
    by_name = declared.by_name
    result: dict[str, object] = {}
    for name, value in values.items():
        field = by_name.get(name)
        if field is None:
            declared.check(name)
            result[name] = value
        elif value is None:
            result[name] = None
        elif (held := field.accept(value)) is not None:
            result[name] = held
    return result


def without(values: dict[str, object], names: Iterable[str]) -> None:
    """Remove *names* from *values*, those that are there."""
    for name in names:
        values.pop(name, None)
