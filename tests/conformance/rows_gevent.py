"""
Rows: greenlets of gevent. They run in a process of their own, since gevent patches all of Python.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from functools import cache, partial
from typing import Any

from tests.conformance.boundary import CLAIMS, Boundary, Crossing, Rows
from tests.conformance.rows_threads import NOT_CANCELLED
from tests.conformance.runners import without_loop

ROWS = Rows()
greenlets = partial(ROWS.add, "gevent", run=without_loop)


def _spawning(spawn: Callable[[Callable[[], Any]], Any]) -> Callable[[], AsyncIterator[Crossing]]:
    async def opened() -> AsyncIterator[Crossing]:
        import gevent

        async def cross(job: Any, *args: Any) -> Any:
            greenlet = spawn(partial(job, *args))
            greenlet.join()
            return greenlet.get()

        async def cancel() -> None:
            greenlet = spawn(gevent.get_hub().join)
            gevent.sleep(0)
            greenlet.kill()

        yield Crossing(cross, cancel)

    return opened


def _gevent() -> Any:
    import gevent

    return gevent


def _in_pool(job: Callable[[], Any]) -> Any:
    from gevent.pool import Pool

    return Pool(1).spawn(job)


greenlets("`gevent.spawn`")(_spawning(lambda job: _gevent().spawn(job)))
greenlets("`gevent.spawn_later`")(_spawning(lambda job: _gevent().spawn_later(0, job)))
greenlets("`gevent.pool.Pool.spawn`")(_spawning(_in_pool))


@greenlets("`Thread`, after `monkey.patch_all`", cancel=NOT_CANCELLED)
async def patched_thread() -> AsyncIterator[Crossing]:
    from tests.conformance.rows_threads import thread

    async for crossing in thread():
        yield crossing


@greenlets("`ThreadPoolExecutor.submit`, after `monkey.patch_all`", cancel=NOT_CANCELLED)
async def patched_executor() -> AsyncIterator[Crossing]:
    from tests.conformance.rows_pools import submit

    async for crossing in submit():
        yield Crossing(crossing.cross)


@greenlets("`gevent.threadpool.ThreadPool.spawn`", cancel=NOT_CANCELLED)
async def native_pool() -> AsyncIterator[Crossing]:
    from gevent.threadpool import ThreadPool

    pool = ThreadPool(1)

    async def cross(job: Any, *args: Any) -> Any:
        return pool.spawn(job, *args).get()

    yield Crossing(cross)
    pool.kill()


@cache
def outcomes() -> dict[str, str]:
    """Run all cells of these rows in one process of their own, and return what each says if it fails, else nothing."""
    ran = subprocess.run(
        [sys.executable, "-m", "tests.conformance.gevent_cells"], capture_output=True, text=True, check=False
    )
    if ran.returncode:
        raise RuntimeError(ran.stderr)
    found: dict[str, str] = json.loads(ran.stdout.splitlines()[-1])
    return found


def applying() -> list[tuple[Boundary, str]]:
    """Return all cells of these rows that apply."""
    return [(row, claim) for row in ROWS for claim in CLAIMS if claim not in row.without]
