"""
Rows: thread pools, from `concurrent.futures`, from `multiprocessing.pool` and under asyncio.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from contextvars import copy_context
from functools import partial
from inspect import unwrap
from multiprocessing.pool import ThreadPool
from typing import Any, Final

from tests.conformance.asyncio_rows import cancelling, loops
from tests.conformance.boundary import Cross, Crossing, Rows
from tests.conformance.rows_threads import NOT_CANCELLED
from tests.conformance.runners import without_loop

ROWS = Rows()
executors = partial(ROWS.add, "`ThreadPoolExecutor`", run=without_loop)
pools = partial(ROWS.add, "`multiprocessing.pool.ThreadPool`", run=without_loop)

NO_CANCELLING: Final = "`multiprocessing.pool` has no way to take a job back."


def _bare(executor: ThreadPoolExecutor) -> Cross:
    async def bare(job: Any, *args: Any) -> Any:
        return unwrap(ThreadPoolExecutor.submit)(executor, job, *args).result()

    return bare


@contextmanager
def _busy(executor: ThreadPoolExecutor) -> Iterator[None]:
    """Keep the one worker of *executor* busy, so that what is submitted meanwhile can be cancelled."""
    free = threading.Event()
    blocker = executor.submit(free.wait)
    yield
    free.set()
    blocker.result()


def _executor_row(submit: Callable[[ThreadPoolExecutor, Any], Future[Any]], executor: ThreadPoolExecutor) -> Crossing:
    async def cross(job: Any, *args: Any) -> Any:
        return submit(executor, partial(job, *args)).result()

    async def cancel() -> None:
        with _busy(executor):
            assert submit(executor, lambda: None).cancel()

    return Crossing(cross, cancel, _bare(executor))


@executors("`submit`")
async def submit() -> AsyncIterator[Crossing]:
    with ThreadPoolExecutor(1) as executor:
        yield _executor_row(ThreadPoolExecutor.submit, executor)


@executors("`submit`, the result awaited with `as_completed`")
async def completed() -> AsyncIterator[Crossing]:
    def submit(executor: ThreadPoolExecutor, job: Any) -> Future[Any]:
        return next(as_completed([executor.submit(job)]))

    with ThreadPoolExecutor(1) as executor:
        row = _executor_row(submit, executor)
        yield Crossing(row.cross, _executor_row(ThreadPoolExecutor.submit, executor).cancel, row.bare)


@executors("`submit`, to a worker with values in `threading.local`", cancel=NOT_CANCELLED)
async def thread_local() -> AsyncIterator[Crossing]:
    of_thread = threading.local()

    def begin() -> None:
        of_thread.value = "the worker's"

    async def cross(job: Any, *args: Any) -> Any:
        def beside() -> Any:
            assert "the worker's" == of_thread.value
            return job(*args)

        of_thread.value = "the submitter's"
        try:
            return executor.submit(beside).result()
        finally:
            assert "the submitter's" == of_thread.value

    with ThreadPoolExecutor(1, initializer=begin) as executor:
        yield Crossing(cross, bare=_bare(executor))


@executors("`map`")
async def executor_map() -> AsyncIterator[Crossing]:
    async def cross(job: Any, *args: Any) -> Any:
        return next(executor.map(lambda each: job(*each), [args]))

    async def cancel() -> None:
        with _busy(executor):
            # An abandoned iterator of results cancels what has not begun.
            results = executor.map(lambda _: None, [1])
            del results

    with ThreadPoolExecutor(1) as executor:
        yield Crossing(cross, cancel, _bare(executor))


@executors(
    "`initializer`",
    carries=False,
    exception="A pool whose initializer fails is broken, whatever runs in it.",
    cancel=NOT_CANCELLED,
)
async def initializer() -> AsyncIterator[Crossing]:
    async def cross(job: Any, *args: Any) -> Any:
        results: list[Any] = []
        with ThreadPoolExecutor(1, initializer=lambda: results.append(job(*args))) as executor:
            executor.submit(lambda: None).result()
        return results[0]

    yield Crossing(cross)


@executors("`Future.add_done_callback`", exception="`concurrent.futures` logs what a callback raises.")
async def done_callback() -> AsyncIterator[Crossing]:
    openers = copy_context()

    async def cross(job: Any, *args: Any) -> Any:
        done: Future[Any] = Future()
        free = threading.Event()
        future = openers.run(executor.submit, free.wait)
        future.add_done_callback(lambda _: done.set_result(job(*args)))
        free.set()
        return done.result()

    async def cancel() -> None:
        with _busy(executor):
            future = openers.run(executor.submit, lambda: None)
            future.add_done_callback(lambda _: None)
            assert future.cancel()

    with ThreadPoolExecutor(1) as executor:
        yield Crossing(cross, cancel, _bare(executor))


def _pool_row(apply: Callable[[ThreadPool, Any, Any], Any]) -> Callable[[], AsyncIterator[Crossing]]:
    async def opened() -> AsyncIterator[Crossing]:
        async def cross(job: Any, *args: Any) -> Any:
            return apply(pool, job, args)

        async def bare(job: Any, *args: Any) -> Any:
            return unwrap(ThreadPool.apply_async)(pool, job, args).get()

        with ThreadPool(1) as pool:
            yield Crossing(cross, bare=bare)
            pool.close()
            pool.join()

    return opened


def _called_back(pool: ThreadPool, job: Any, args: Any) -> Any:
    done: Future[Any] = Future()
    pool.apply_async(lambda: None, callback=lambda _: done.set_result(job(*args)))
    return done.result()


for _name, _apply in {
    "`apply`": lambda pool, job, args: pool.apply(job, args),
    "`apply_async`": lambda pool, job, args: pool.apply_async(job, args).get(),
    "`map`": lambda pool, job, args: pool.map(lambda each: job(*each), [args])[0],
    "`map_async`": lambda pool, job, args: pool.map_async(lambda each: job(*each), [args]).get()[0],
    "`starmap`": lambda pool, job, args: pool.starmap(job, [args])[0],
    "`imap`": lambda pool, job, args: next(pool.imap(lambda each: job(*each), [args])),
    "`imap_unordered`": lambda pool, job, args: next(pool.imap_unordered(lambda each: job(*each), [args])),
}.items():
    pools(_name, cancel=NO_CANCELLING)(_pool_row(_apply))

pools(
    "`apply_async(callback=…)`",
    cancel=NO_CANCELLING,
    exception="A callback that raises ends the pool's result thread, in every Python.",
)(_pool_row(_called_back))


def _on_default_executor(start: Callable[[Callable[[], Any]], Any]) -> Callable[[], AsyncIterator[Crossing]]:
    async def opened() -> AsyncIterator[Crossing]:
        async def cross(job: Any, *args: Any) -> Any:
            return await start(partial(job, *args))

        async def bare(job: Any, *args: Any) -> Any:
            return await asyncio.wrap_future(unwrap(ThreadPoolExecutor.submit)(executor, job, *args))

        async def cancel() -> None:
            with _busy(executor):
                await cancelling(lambda forever: asyncio.ensure_future(_with_queued_job(forever)))()

        async def _with_queued_job(forever: Any) -> None:
            await asyncio.gather(start(lambda: None), forever)

        executor = ThreadPoolExecutor(1)
        asyncio.get_running_loop().set_default_executor(executor)
        yield Crossing(cross, cancel, bare)

    return opened


loops(ROWS, "`run_in_executor`")(
    _on_default_executor(lambda job: asyncio.get_running_loop().run_in_executor(None, job)),
)
loops(ROWS, "`to_thread`")(_on_default_executor(asyncio.to_thread))
