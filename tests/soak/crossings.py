"""
Crossings: the boundaries that a soak sends requests through, each as one coroutine function.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import Future, InvalidStateError, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context
from multiprocessing.pool import ThreadPool
from threading import Thread
from typing import Any

import anyio.to_thread

import otelctx

Job = Callable[[], object]


@dataclass
class Workers:
    """The pools that all requests share; made in the request of whoever came first, as in an application."""

    threads: ThreadPoolExecutor = field(default_factory=partial(ThreadPoolExecutor, 4))
    pool: ThreadPool = field(default_factory=partial(ThreadPool, 2))
    processes: ProcessPoolExecutor = field(
        default_factory=partial(ProcessPoolExecutor, 1, mp_context=get_context("forkserver"))
    )

    def close(self) -> None:
        """End all of them."""
        self.threads.shutdown()
        self.pool.close()
        self.pool.join()
        self.processes.shutdown()


async def called(job: Job) -> object:
    await asyncio.sleep(0)
    return job()


def settle(future: asyncio.Future[Any] | Future[Any], job: Job) -> None:
    """Run *job* in a callback, and put its outcome where somebody may still wait for it."""
    try:
        result, failure = job(), None
    except Exception as error:  # noqa: BLE001 - it is the job's
        result, failure = None, error
    # Whoever waited may have been cancelled meanwhile.
    with suppress(asyncio.InvalidStateError, InvalidStateError):
        future.set_result(result) if failure is None else future.set_exception(failure)


async def task(_: Workers, job: Job) -> object:
    return await asyncio.create_task(called(job))


async def gathered(_: Workers, job: Job) -> object:
    return (await asyncio.gather(called(job), asyncio.sleep(0)))[0]


async def shielded(_: Workers, job: Job) -> object:
    return await asyncio.shield(called(job))


async def callback(_: Workers, job: Job) -> object:
    loop = asyncio.get_running_loop()
    future = loop.create_future()
    loop.call_soon(settle, future, job)
    return await future


async def executor(workers: Workers, job: Job) -> object:
    return await asyncio.get_running_loop().run_in_executor(workers.threads, job)


async def anyio_thread(_: Workers, job: Job) -> object:
    return await anyio.to_thread.run_sync(job)


async def done_callback(workers: Workers, job: Job) -> object:
    result: Future[object] = Future()

    workers.threads.submit(str).add_done_callback(lambda _: settle(result, job))
    return await asyncio.wrap_future(result)


async def thread_pool(workers: Workers, job: Job) -> object:
    result: Future[object] = Future()
    # A callback that raises would end the pool's result thread.
    workers.pool.apply_async(settle, (result, job))
    return await asyncio.wrap_future(result)


async def thread(_: Workers, job: Job) -> object:
    loop = asyncio.get_running_loop()
    future = loop.create_future()
    Thread(target=lambda: loop.call_soon_threadsafe(settle, future, job)).start()
    return await future


async def generator(_: Workers, job: Job) -> object:
    async def steps() -> AsyncIterator[object]:
        with otelctx.bind(part="generator"):
            yield None
            yield job()

    made = otelctx.wrap(steps)()
    await made.__anext__()
    assert otelctx.get("part") is None
    result = await made.__anext__()
    assert otelctx.get("part") is None
    # Abandoned where it stands; the loop closes it.
    return result


async def cancelled(_: Workers, job: Job) -> object:
    async def forever() -> None:
        with otelctx.bind(part="cancelled"):
            await asyncio.Event().wait()

    hanging = asyncio.create_task(forever())
    try:
        await asyncio.sleep(0)
    finally:
        hanging.cancel()
    with suppress(asyncio.CancelledError):
        await hanging
    return job()


Crossing = Callable[[Workers, Job], Awaitable[object]]

# By how often each is taken; a crossing to another process costs as much as a hundred others.
WEIGHTS: dict[Crossing, int] = {
    task: 120,
    gathered: 60,
    shielded: 60,
    callback: 120,
    executor: 80,
    done_callback: 60,
    thread_pool: 60,
    anyio_thread: 20,
    thread: 10,
    generator: 60,
    cancelled: 60,
}

# One request in so many also has a job done by another process.
PROCESS_EVERY = 250
