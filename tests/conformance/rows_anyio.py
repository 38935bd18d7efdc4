"""
Rows: anyio on both of its event loops, and trio by itself.
"""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any, Final

import anyio
import anyio.from_thread
import anyio.to_thread
import trio

import otelctx
from tests.conformance.boundary import Crossing, Opening, Rows
from tests.conformance.rows_threads import NOT_CANCELLED
from tests.conformance.runners import on_anyio_asyncio, on_anyio_trio, on_trio, without_loop

ROWS = Rows()

BACKENDS = {"anyio on asyncio": on_anyio_asyncio, "anyio on trio": on_anyio_trio}
natively = partial(ROWS.add, "trio", run=on_trio)

_TAKEN_BACK: Final = "What is handed to another thread is not taken back."


def backends(name: str, **more: Any) -> Callable[[Opening], Opening]:
    """Add a row for each backend."""

    def adding(opening: Opening) -> Opening:
        for group, run in BACKENDS.items():
            ROWS.add(group, name, run, **more)(opening)
        return opening

    return adding


def only(errors: BaseException) -> BaseException:
    """Return the one error in groups of one."""
    while isinstance(inner := getattr(errors, "exceptions", None), tuple):
        errors = inner[0]
    return errors


async def _in_group(start: Callable[[Any, Callable[[], Any]], Any], job: Any, args: Any) -> Any:
    results: list[Any] = []

    async def work(*, task_status: Any = anyio.TASK_STATUS_IGNORED) -> None:
        await anyio.lowlevel.checkpoint()
        results.append(job(*args))
        task_status.started()

    try:
        async with anyio.create_task_group() as group:
            started = start(group, work)
            if started is not None:
                await started
    except Exception as errors:  # noqa: BLE001 - told apart below
        raise only(errors) from None
    return results[0]


async def _cancel_group() -> None:
    async with anyio.create_task_group() as group:
        running = anyio.Event()

        async def forever() -> None:
            running.set()
            await anyio.sleep_forever()

        group.start_soon(forever)
        await running.wait()
        group.cancel_scope.cancel()


@backends("`TaskGroup.start_soon`")
async def start_soon() -> AsyncIterator[Crossing]:
    async def cross(job: Any, *args: Any) -> Any:
        def start(group: Any, work: Any) -> None:
            group.start_soon(work)

        return await _in_group(start, job, args)

    yield Crossing(cross, _cancel_group)


@backends("`TaskGroup.start`")
async def start() -> AsyncIterator[Crossing]:
    async def cross(job: Any, *args: Any) -> Any:
        return await _in_group(lambda group, work: group.start(work), job, args)

    yield Crossing(cross, _cancel_group)


@backends("`to_thread.run_sync`")
async def to_thread() -> AsyncIterator[Crossing]:
    async def cross(job: Any, *args: Any) -> Any:
        return await anyio.to_thread.run_sync(job, *args)

    async def cancel() -> None:
        free, ended = threading.Event(), threading.Event()

        def wait_and_end(running: anyio.Event) -> None:
            anyio.from_thread.run_sync(running.set)
            free.wait()
            ended.set()

        async with anyio.create_task_group() as group:
            running = anyio.Event()
            group.start_soon(partial(anyio.to_thread.run_sync, wait_and_end, running, abandon_on_cancel=True))
            await running.wait()
            group.cancel_scope.cancel()
        free.set()
        ended.wait()

    yield Crossing(cross, cancel)


@backends("`from_thread.run`", cancel=_TAKEN_BACK)
async def from_thread_run() -> AsyncIterator[Crossing]:
    async def cross(job: Any, *args: Any) -> Any:
        async def work() -> Any:
            await anyio.lowlevel.checkpoint()
            return job(*args)

        return await anyio.to_thread.run_sync(anyio.from_thread.run, work)

    yield Crossing(cross)


@backends("`from_thread.run_sync`", cancel=_TAKEN_BACK)
async def from_thread_run_sync() -> AsyncIterator[Crossing]:
    async def cross(job: Any, *args: Any) -> Any:
        return await anyio.to_thread.run_sync(anyio.from_thread.run_sync, job, *args)

    yield Crossing(cross)


@backends("memory object stream, a worker for all, items made with `snapshot().wrap`", cancel=_TAKEN_BACK)
async def stream_worker() -> AsyncIterator[Crossing]:
    send, receive = anyio.create_memory_object_stream[Any](1)

    async def work() -> None:
        async for job, results, done in receive:
            try:
                results.append((job(), None))
            except Exception as error:  # noqa: BLE001 - it belongs to the item
                results.append((None, error))
            done.set()
            del job, results, done

    async def cross(job: Any, *args: Any) -> Any:
        results: list[Any] = []
        done = anyio.Event()
        await send.send((otelctx.snapshot().wrap(partial(job, *args)), results, done))
        await done.wait()
        result, error = results[0]
        if error is not None:
            raise error
        return result

    async with anyio.create_task_group() as group, send, receive:
        group.start_soon(work)
        yield Crossing(cross)
        group.cancel_scope.cancel()


def _portal_rows(group: str, backend: str) -> None:
    portal_rows = partial(ROWS.add, group, run=without_loop)

    @portal_rows("blocking portal: `call`", cancel=_TAKEN_BACK)
    async def portal_call() -> AsyncIterator[Crossing]:
        async def cross(job: Any, *args: Any) -> Any:
            return portal.call(job, *args)

        with anyio.from_thread.start_blocking_portal(backend) as portal:
            yield Crossing(cross)

    @portal_rows("blocking portal: `start_task_soon`")
    async def portal_start() -> AsyncIterator[Crossing]:
        async def cross(job: Any, *args: Any) -> Any:
            async def work() -> Any:
                await anyio.lowlevel.checkpoint()
                return job(*args)

            return portal.start_task_soon(work).result()

        async def cancel() -> None:
            running = threading.Event()

            async def forever() -> None:
                running.set()
                await anyio.sleep_forever()

            future = portal.start_task_soon(forever)
            running.wait()
            future.cancel()

        with anyio.from_thread.start_blocking_portal(backend) as portal:
            yield Crossing(cross, cancel)


_portal_rows("anyio on asyncio", "asyncio")
_portal_rows("anyio on trio", "trio")


@natively("nursery: `start_soon`")
async def nursery() -> AsyncIterator[Crossing]:
    async def cross(job: Any, *args: Any) -> Any:
        results: list[Any] = []

        async def work() -> None:
            await trio.lowlevel.checkpoint()
            results.append(job(*args))

        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(work)
        except Exception as errors:  # noqa: BLE001 - told apart below
            raise only(errors) from None
        return results[0]

    async def cancel() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            await trio.lowlevel.checkpoint()
            nursery.cancel_scope.cancel()

    yield Crossing(cross, cancel)


@natively("`trio.to_thread.run_sync`", cancel=NOT_CANCELLED)
async def trio_to_thread() -> AsyncIterator[Crossing]:
    async def cross(job: Any, *args: Any) -> Any:
        return await trio.to_thread.run_sync(job, *args)

    yield Crossing(cross)


@natively("`trio.from_thread.run_sync`", cancel=_TAKEN_BACK)
async def trio_from_thread() -> AsyncIterator[Crossing]:
    async def cross(job: Any, *args: Any) -> Any:
        return await trio.to_thread.run_sync(trio.from_thread.run_sync, job, *args)

    yield Crossing(cross)
