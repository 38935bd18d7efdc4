"""
Requests in flight: what many that wait at once keep in memory, as Python's allocator counts it.
"""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from collections.abc import Awaitable, Callable

from benchmarks.harness.case import Work

Serve = Callable[[asyncio.Event, str], Awaitable[None]]


def waiting(serve: Serve) -> Work:
    """Return the work that has *serve* wait in as many tasks as it is called for, and weighs them: bytes for each."""

    async def weighed(count: int) -> float:
        until = asyncio.Event()
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        tasks = [asyncio.ensure_future(serve(until, f"request-{number}")) for number in range(count)]
        await asyncio.sleep(0)
        gc.collect()
        taken = tracemalloc.get_traced_memory()[0] - before
        until.set()
        await asyncio.gather(*tasks)
        return taken / count

    def work(calls: int) -> dict[str, float]:
        tracemalloc.start()
        try:
            return {"bytes": asyncio.run(weighed(calls))}
        finally:
            tracemalloc.stop()

    return work
