"""
Rows: tasks and callbacks of asyncio, on its own loop and on uvloop.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import suppress
from contextvars import copy_context
from typing import Any

import otelctx
from tests.conformance.boundary import Crossing, Opening, Rows
from tests.conformance.runners import on_asyncio, on_uvloop

ROWS = Rows()

EAGER = {"eager_start": True}
LOOPS = {"asyncio": on_asyncio, "asyncio on uvloop": on_uvloop}


def loops(name: str, **more: Any) -> Callable[[Opening], Opening]:
    """Add a row for each loop."""

    def adding(opening: Opening) -> Opening:
        for group, run in LOOPS.items():
            ROWS.add(group, name, run, **more)(opening)
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


async def delivered(schedule: Callable[[Callable[[], None]], object], job: Callable[..., Any], args: Any) -> Any:
    """Let *schedule* arrange for *job* as a callback; what it raises arrives where the loop reports it."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Any] = loop.create_future()
    loop.set_exception_handler(lambda _, about: done.set_exception(about["exception"]))
    try:
        schedule(lambda: done.set_result(job(*args)))
        return await done
    finally:
        loop.set_exception_handler(None)


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


def _handles(schedule: Callable[[Callable[[], None]], asyncio.Handle]) -> Crossing:
    async def cross(job: Any, *args: Any) -> Any:
        return await delivered(schedule, job, args)

    async def cancel() -> None:
        schedule(lambda: None).cancel()
        await asyncio.sleep(0)

    return Crossing(cross, cancel)


@loops("`call_soon`")
async def call_soon() -> AsyncIterator[Crossing]:
    yield _handles(asyncio.get_running_loop().call_soon)


@loops("`call_later`")
async def call_later() -> AsyncIterator[Crossing]:
    yield _handles(lambda callback: asyncio.get_running_loop().call_later(0.001, callback))


@loops("`call_at`")
async def call_at() -> AsyncIterator[Crossing]:
    loop = asyncio.get_running_loop()
    yield _handles(lambda callback: loop.call_at(loop.time() + 0.001, callback))


@loops("`call_soon_threadsafe`")
async def call_soon_threadsafe() -> AsyncIterator[Crossing]:
    loop = asyncio.get_running_loop()

    async def cross(job: Any, *args: Any) -> Any:
        async def from_a_thread(callback: Callable[[], None]) -> None:
            await asyncio.to_thread(loop.call_soon_threadsafe, callback)

        return await delivered(lambda callback: asyncio.ensure_future(from_a_thread(callback)), job, args)

    yield Crossing(cross, _handles(loop.call_soon_threadsafe).cancel)


@loops("`run_coroutine_threadsafe`")
async def run_coroutine_threadsafe() -> AsyncIterator[Crossing]:
    loop = asyncio.get_running_loop()

    async def cross(job: Any, *args: Any) -> Any:
        def submit_and_wait() -> Any:
            return asyncio.run_coroutine_threadsafe(call(job, *args), loop).result()

        return await asyncio.to_thread(submit_and_wait)

    def start(coroutine: Coroutine[Any, Any, Any]) -> asyncio.Future[Any]:
        return asyncio.wrap_future(asyncio.run_coroutine_threadsafe(coroutine, loop))

    yield Crossing(cross, cancelling(start))


@loops("`Future.add_done_callback`")
async def future_done_callback() -> AsyncIterator[Crossing]:
    openers, loop = copy_context(), asyncio.get_running_loop()

    async def cross(job: Any, *args: Any) -> Any:
        future = openers.run(loop.create_future)

        def schedule(callback: Callable[[], None]) -> None:
            future.add_done_callback(lambda _: callback())
            openers.run(future.set_result, None)

        return await delivered(schedule, job, args)

    async def cancel() -> None:
        future = openers.run(loop.create_future)
        future.add_done_callback(lambda _: None)
        openers.run(future.cancel)
        await asyncio.sleep(0)

    yield Crossing(cross, cancel)


@loops("`Task.add_done_callback`")
async def task_done_callback() -> AsyncIterator[Crossing]:
    openers = copy_context()

    async def cross(job: Any, *args: Any) -> Any:
        task = openers.run(asyncio.create_task, asyncio.sleep(0))
        return await delivered(lambda callback: task.add_done_callback(lambda _: callback()), job, args)

    def start(coroutine: Coroutine[Any, Any, Any]) -> asyncio.Future[Any]:
        task = openers.run(asyncio.create_task, coroutine)
        task.add_done_callback(lambda _: None)
        return task

    yield Crossing(cross, cancelling(start))


@loops("`add_reader`")
async def add_reader() -> AsyncIterator[Crossing]:
    loop = asyncio.get_running_loop()
    here, there = socket.socketpair()

    async def cross(job: Any, *args: Any) -> Any:
        def schedule(callback: Callable[[], None]) -> None:
            def readable() -> None:
                here.recv(1)
                loop.remove_reader(here)
                callback()

            loop.add_reader(here, readable)
            there.send(b"x")

        return await delivered(schedule, job, args)

    async def cancel() -> None:
        loop.add_reader(here, lambda: None)
        loop.remove_reader(here)
        await asyncio.sleep(0)

    with here, there:
        yield Crossing(cross, cancel)


@loops("`add_signal_handler`", carries=False)
async def add_signal_handler() -> AsyncIterator[Crossing]:
    loop = asyncio.get_running_loop()

    async def cross(job: Any, *args: Any) -> Any:
        def schedule(callback: Callable[[], None]) -> None:
            loop.add_signal_handler(signal.SIGUSR1, callback)
            os.kill(os.getpid(), signal.SIGUSR1)

        return await delivered(schedule, job, args)

    async def cancel() -> None:
        loop.add_signal_handler(signal.SIGUSR1, lambda: None)
        loop.remove_signal_handler(signal.SIGUSR1)

    yield Crossing(cross, cancel)
    loop.remove_signal_handler(signal.SIGUSR1)


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
