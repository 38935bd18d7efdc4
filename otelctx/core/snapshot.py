"""
Snapshots: capture the context here, run something under it elsewhere.

A snapshot takes the request, the bindings, the current span and every other context variable along. What runs under
it cannot change what whoever runs it sees.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Context, copy_context
from typing import ParamSpec, TypeVar, cast

from otelctx.core.steps import call, wrapper_of

P = ParamSpec("P")
R = TypeVar("R")


class Snapshot:
    """A captured context; it may be used any number of times, by several threads at once."""

    __slots__ = ("_context",)

    def __init__(self) -> None:
        """Capture what is current."""
        self._context: Context = copy_context()

    def run(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call *function* under the snapshot and return its result; an awaitable result runs under it too."""
        return call(self._context.copy(), function, *args, **kwargs)

    def wrap(self, function: Callable[P, R], /) -> Callable[P, R]:
        """Return *function* so that each of its calls runs under the snapshot; it stays of its kind and signature."""
        if isinstance(function, (staticmethod, classmethod)):
            return cast("Callable[P, R]", type(function)(self.wrap(function.__func__)))
        return wrapper_of(function, self._context.copy)


def snapshot() -> Snapshot:
    """
    Capture the context here.

    >>> with bind(step="charge"):
    ...     here = snapshot()
    >>> here.run(get, "step")
    'charge'
    """
    return Snapshot()


def wrap(function: Callable[P, R], /) -> Callable[P, R]:
    """
    Return *function* so that each of its calls runs in the context of here, whoever calls it and when.

    For what is registered now and called by somebody else's code: listeners of an event emitter, callbacks of a client
    or a driver. Any callable will do; the result has its kind (``async`` or not, a generator or not), its signature and
    its name. It is not equal to *function*: whoever removes a listener needs what was registered.

    >>> with bind(step="charge"):
    ...     listener = wrap(lambda: get("step"))
    >>> listener()
    'charge'
    """
    return Snapshot().wrap(function)
