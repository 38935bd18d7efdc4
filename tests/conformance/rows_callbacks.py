"""
Rows: callbacks of asyncio, on its own loop and on uvloop.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from contextvars import copy_context
from functools import partial
from typing import Any

from tests.conformance import asyncio_rows
from tests.conformance.asyncio_rows import call, cancelling
from tests.conformance.boundary import Crossing, Rows

ROWS = Rows()
loops = partial(asyncio_rows.loops, ROWS)


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
