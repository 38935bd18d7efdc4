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


class _Dropped:
    """Something that ends where its last reference is dropped."""

    def __init__(self, end: Any) -> None:
        self.end = end

    def __del__(self) -> None:
        self.end()


@outside(
    "`__del__`, where the last reference is dropped: as a call there",
    carries=True,
    inline=True,
    cancel=NOTHING_TO_CANCEL,
    exception=UNRAISABLE,
)
async def dropped() -> AsyncIterator[Crossing]:
    async def cross(job: Any, *args: Any) -> Any:
        results: list[Any] = []
        thing = _Dropped(lambda: results.append(job(*args)))
        del thing
        return results[0]

    yield Crossing(cross)
