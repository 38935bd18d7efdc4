"""
Rows: what runs in the middle of whatever happens to run: finalizers and signal handlers.
"""

from __future__ import annotations

import gc
import signal
import weakref
from collections.abc import AsyncIterator
from functools import partial
from typing import Any, Final

from tests.conformance.boundary import Crossing, Rows
from tests.conformance.runners import without_loop

ROWS = Rows()
outside = partial(ROWS.add, "finalizers and signal handlers", run=without_loop, carries=False)

NOTHING_TO_CANCEL: Final = "There is nothing to take back."
UNRAISABLE: Final = "Python reports what a finalizer raises as unraisable."


class _Thing:
    """Something that a finalizer is about."""


@outside("`signal.signal` handler", cancel=NOTHING_TO_CANCEL)
async def signal_handler() -> AsyncIterator[Crossing]:
    async def cross(job: Any, *args: Any) -> Any:
        results: list[Any] = []
        before = signal.signal(signal.SIGUSR2, lambda *_: results.append(job(*args)))
        try:
            signal.raise_signal(signal.SIGUSR2)
        finally:
            signal.signal(signal.SIGUSR2, before)
        return results[0]

    yield Crossing(cross)


@outside("`weakref.finalize`", exception=UNRAISABLE)
async def finalizer() -> AsyncIterator[Crossing]:
    async def cross(job: Any, *args: Any) -> Any:
        results: list[Any] = []
        thing = _Thing()
        weakref.finalize(thing, lambda: results.append(job(*args)))
        del thing
        return results[0]

    async def cancel() -> None:
        thing = _Thing()
        weakref.finalize(thing, lambda: None).detach()

    yield Crossing(cross, cancel)


class _Cycle:
    """Something that only the garbage collector can end."""

    def __init__(self, end: Any) -> None:
        self.itself = self
        self.end = end

    def __del__(self) -> None:
        self.end()


@outside("`__del__`, in a garbage collection", since=(3, 12), cancel=NOTHING_TO_CANCEL, exception=UNRAISABLE)
async def collected() -> AsyncIterator[Crossing]:
    async def cross(job: Any, *args: Any) -> Any:
        results: list[Any] = []
        _Cycle(lambda: results.append(job(*args)))
        gc.collect()
        return results[0]

    yield Crossing(cross)


_UNREACHED: Final = (
    "Python calls it like a function where the last reference is dropped, and nothing can stand between. "
    "It is in the request of whoever drops it; use `weakref.finalize`."
)
_NOTHING = dict.fromkeys(("bind", "clean", "exception", "cancel", "none"), _UNREACHED)


@outside("`__del__` and callbacks of `weakref.ref`, where the last reference is dropped", **_NOTHING)
async def destructor() -> AsyncIterator[Crossing]:
    async def cross(job: Any, *args: Any) -> Any:
        raise NotImplementedError

    yield Crossing(cross)
