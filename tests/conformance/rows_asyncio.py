"""
Rows: tasks of asyncio, on its own loop and on uvloop.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import suppress
from functools import partial
from typing import Any, Final

import uvloop

import otelctx
from tests.conformance import asyncio_rows
from tests.conformance.asyncio_rows import call, cancelling
from tests.conformance.boundary import Crossing, Rows
from tests.conformance.runners import without_loop

ROWS = Rows()
loops = partial(asyncio_rows.loops, ROWS)

EAGER = {"eager_start": True}


@loops("`create_task`")
async def create_task() -> AsyncIterator[Crossing]:
    async def cross(job: Any, *args: Any) -> Any:
        return await asyncio.create_task(call(job, *args))

    yield Crossing(cross, cancelling(asyncio.create_task))


@loops("eager tasks", since=(3, 12))
async def eager_tasks() -> AsyncIterator[Crossing]:
    async def cross(job: Any, *args: Any) -> Any:
        async def at_once() -> Any:
            return job(*args)

        return await asyncio.create_task(at_once())

    loop = asyncio.get_running_loop()
    # As `asyncio.eager_task_factory`, which uvloop calls with an argument that it has in later Pythons only.
    loop.set_task_factory(lambda loop, coroutine, **more: asyncio.Task(coroutine, loop=loop, **more | EAGER))
    yield Crossing(cross, cancelling(asyncio.create_task))
    loop.set_task_factory(None)


@loops("`gather`")
async def gather() -> AsyncIterator[Crossing]:
    async def cross(job: Any, *args: Any) -> Any:
        return (await asyncio.gather(call(job, *args), asyncio.sleep(0)))[0]

    yield Crossing(cross, cancelling(asyncio.gather))


@loops("`TaskGroup`", since=(3, 11))
async def task_group() -> AsyncIterator[Crossing]:
    async def cross(job: Any, *args: Any) -> Any:
        try:
            async with asyncio.TaskGroup() as group:
                task = group.create_task(call(job, *args))
        except Exception as errors:  # noqa: BLE001 - told apart below
            raise errors.exceptions[0] from None  # type: ignore[attr-defined]  # a group, of 3.11 as TaskGroup is
        return task.result()

    async def cancel() -> None:
        async with asyncio.TaskGroup() as group:
            await cancelling(group.create_task)()

    yield Crossing(cross, cancel)


@loops("`wait_for`", inline=True)
async def wait_for() -> AsyncIterator[Crossing]:
    async def cross(job: Any, *args: Any) -> Any:
        return await asyncio.wait_for(call(job, *args), 60)

    async def cancel() -> None:
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(asyncio.Event().wait(), 0.001)

    yield Crossing(cross, cancel)


@loops("`shield`")
async def shield() -> AsyncIterator[Crossing]:
    async def cross(job: Any, *args: Any) -> Any:
        return await asyncio.shield(call(job, *args))

    async def cancel() -> None:
        inner: list[asyncio.Future[Any]] = []

        def start(coroutine: Coroutine[Any, Any, Any]) -> asyncio.Future[Any]:
            inner.append(asyncio.ensure_future(coroutine))
            return asyncio.shield(inner[0])

        await cancelling(start)()
        inner[0].cancel()
        with suppress(asyncio.CancelledError):
            await inner.pop()

    yield Crossing(cross, cancel)


@loops("`asyncio.Queue`, a worker for all, items made with `snapshot().wrap`")
async def queue_worker() -> AsyncIterator[Crossing]:
    queue: asyncio.Queue[Any] = asyncio.Queue()

    async def work() -> None:
        while True:
            job, done = await queue.get()
            try:
                done.set_result(await job())
            except Exception as error:  # noqa: BLE001 - it belongs to the item
                done.set_exception(error)
            except asyncio.CancelledError:
                done.cancel()
            del job, done

    async def cross(job: Any, *args: Any) -> Any:
        async def item() -> Any:
            return await call(job, *args)

        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        queue.put_nowait((otelctx.snapshot().wrap(item), done))
        return await done

    async def cancel() -> None:
        async def item() -> None:
            raise asyncio.CancelledError

        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        queue.put_nowait((otelctx.snapshot().wrap(item), done))
        with suppress(asyncio.CancelledError):
            await done

    worker = asyncio.create_task(work())
    yield Crossing(cross, cancel)
    worker.cancel()
    with suppress(asyncio.CancelledError):
        await worker


RUNNERS: Final = "A runner keeps its own context variables from one run to the next."


def _runner_row(group: str, loop_factory: Any) -> None:
    @ROWS.add(group, "`asyncio.Runner`, one for all", without_loop, since=(3, 11), vars=RUNNERS)
    async def runner() -> AsyncIterator[Crossing]:
        async def cross(job: Any, *args: Any) -> Any:
            return used.run(call(job, *args))

        async def cancel() -> None:
            async def cancelled() -> None:
                task = asyncio.current_task()
                assert task is not None
                task.cancel()
                await asyncio.sleep(0)

            with suppress(asyncio.CancelledError):
                used.run(cancelled())

        with asyncio.Runner(loop_factory=loop_factory) as used:
            used.run(asyncio.sleep(0))
            yield Crossing(cross, cancel)


_runner_row("asyncio", asyncio.new_event_loop)
_runner_row("asyncio on uvloop", uvloop.new_event_loop)
