"""
What the rows of asyncio have in common: a row for each event loop, and ways to start and cancel something on it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

from tests.conformance.boundary import Opening, Rows
from tests.conformance.runners import on_asyncio, on_uvloop

LOOPS = {"asyncio": on_asyncio, "asyncio on uvloop": on_uvloop}


def loops(rows: Rows, name: str, **more: Any) -> Callable[[Opening], Opening]:
    """Add a row to *rows* for each loop."""

    def adding(opening: Opening) -> Opening:
        for group, run in LOOPS.items():
            rows.add(group, name, run, **more)(opening)
        return opening

    return adding


async def call(job: Callable[..., Any], *args: Any) -> Any:
    """Call *job* in a coroutine that is not done at its first step."""
    await asyncio.sleep(0)
    return job(*args)


def cancelling(start: Callable[[Coroutine[Any, Any, Any]], asyncio.Future[Any]]) -> Callable[[], Any]:
    """Return what starts a coroutine that never ends, and cancels it once it runs."""

    async def cancel() -> None:
        running = asyncio.Event()

        async def forever() -> None:
            running.set()
            await asyncio.Event().wait()

        started = start(forever())
        await running.wait()
        started.cancel()
        with suppress(asyncio.CancelledError):
            await started
        # A turn for what has been scheduled meanwhile.
        await asyncio.sleep(0)

    return cancel
