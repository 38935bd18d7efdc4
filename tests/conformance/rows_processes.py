"""
Rows: pools of processes, processes and forks, under each start method of `multiprocessing`.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import tempfile
import threading
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from inspect import unwrap
from multiprocessing.pool import Pool
from pathlib import Path
from typing import Any, Final

import otelctx
from otelctx.core import reports
from otelctx.core.state import current_request
from tests.conformance import jobs
from tests.conformance.boundary import Crossing, Rows, Scenario
from tests.conformance.runners import without_loop

ROWS = Rows()

OTHER_CELL: Final = "Another process has a copy of the values; what it sets stays there."
ONLY_FIELDS: Final = "Only fields cross to another process; other variables need not even be picklable."
NO_CANCELLING: Final = "`multiprocessing.pool` has no way to take a job back."
EXIT_CODE: Final = "A process comes back with its exit code only."
FAR = {"set": OTHER_CELL, "vars": ONLY_FIELDS}


def forking(scenario: Scenario) -> None:
    """Run *scenario*; that others have left threads behind is not its fault (Python 3.12 warns of forks then)."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=DeprecationWarning, message=".*fork.*")
        without_loop(scenario)


@contextmanager
def _gate() -> Iterator[tuple[str, Callable[[], None]]]:
    """Give the path on which other processes wait in `jobs.wait_for`, and what lets all of them go."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "gate")
        os.mkfifo(path)
        # Open for reading too, so that it is never without a reader; who waits gets a byte each.
        gate = os.open(path, os.O_RDWR)
        try:
            yield str(path), lambda: os.write(gate, b"x" * 64) and None
        finally:
            os.close(gate)


@contextmanager
def _unpicklable() -> Iterator[None]:
    """Hold a value that cannot be pickled, if this is a request, and see that its field is named."""
    kind = "process.left_behind.connection"
    before = reports.counts().get(kind, 0)
    if current_request() is None:
        yield
        return
    with otelctx.bind(connection=threading.Lock()):
        yield
    assert before + 1 == reports.counts()[kind]


def _executor_rows(method: str) -> None:
    rows = partial(ROWS.add, f"processes, {method}", run=forking)
    context = multiprocessing.get_context(method)

    def crossing(executor: ProcessPoolExecutor, cross: Any) -> Crossing:
        async def cancel() -> None:
            with _gate() as (path, release):
                # One runs, and one more is in the pipe already than there are workers; the others can be cancelled.
                begun = [executor.submit(jobs.wait_for, path) for _ in range(3)]
                assert executor.submit(jobs.user_id).cancel()
                release()
                for future in begun:
                    future.result()

        async def bare(job: Any, *args: Any) -> Any:
            return unwrap(ProcessPoolExecutor.submit)(executor, job, *args).result()

        return Crossing(cross, cancel, bare)

    @rows("`ProcessPoolExecutor.submit`", **FAR)
    async def submit() -> AsyncIterator[Crossing]:
        async def cross(job: Any, *args: Any) -> Any:
            return executor.submit(job, *args).result()

        with ProcessPoolExecutor(1, mp_context=context) as executor:
            yield crossing(executor, cross)

    @rows("`ProcessPoolExecutor.map`", **FAR)
    async def executor_map() -> AsyncIterator[Crossing]:
        async def cross(job: Any, *args: Any) -> Any:
            return next(executor.map(jobs.calling, [(job, args)]))

        with ProcessPoolExecutor(1, mp_context=context) as executor:
            yield crossing(executor, cross)

    def pool_row(apply: Callable[[Pool, Any, Any], Any]) -> Callable[[], AsyncIterator[Crossing]]:
        async def opened() -> AsyncIterator[Crossing]:
            async def cross(job: Any, *args: Any) -> Any:
                return apply(pool, job, args)

            async def bare(job: Any, *args: Any) -> Any:
                return unwrap(Pool.apply_async)(pool, job, args).get()

            with context.Pool(1) as pool:
                yield Crossing(cross, bare=bare)
                pool.close()
                pool.join()

        return opened

    for name, apply in {
        "`Pool.apply`": lambda pool, job, args: pool.apply(job, args),
        "`Pool.apply_async`": lambda pool, job, args: pool.apply_async(job, args).get(),
        "`Pool.map`": lambda pool, job, args: pool.map(jobs.calling, [(job, args)])[0],
        "`Pool.starmap`": lambda pool, job, args: pool.starmap(job, [args])[0],
        "`Pool.imap`": lambda pool, job, args: next(pool.imap(jobs.calling, [(job, args)])),
    }.items():
        rows(name, cancel=NO_CANCELLING, **FAR)(pool_row(apply))

    @rows("`ProcessPoolExecutor.submit`, one of the values not picklable", **FAR)
    async def submit_in_part() -> AsyncIterator[Crossing]:
        async def cross(job: Any, *args: Any) -> Any:
            with _unpicklable():
                return executor.submit(job, *args).result()

        with ProcessPoolExecutor(1, mp_context=context) as executor:
            yield crossing(executor, cross)

    def apply_in_part(pool: Pool, job: Any, args: Any) -> Any:
        with _unpicklable():
            return pool.apply(job, args)

    rows("`Pool.apply`, one of the values not picklable", cancel=NO_CANCELLING, **FAR)(pool_row(apply_in_part))

    # A fork has all that its parent had.
    far = FAR if method != "fork" else {"set": OTHER_CELL}

    @rows("`Process`", exception=EXIT_CODE, **far)
    async def process() -> AsyncIterator[Crossing]:
        async def cross(job: Any, *args: Any) -> Any:
            here, there = context.Pipe(duplex=False)
            with here, there:
                child = context.Process(target=jobs.sending, args=(there, job, args))
                child.start()
                result = here.recv()
                child.join()
            return result

        async def cancel() -> None:
            with _gate() as (path, _):
                child = context.Process(target=jobs.wait_for, args=(path,))
                child.start()
                child.terminate()
                child.join()

        yield Crossing(cross, cancel)


for _method in ("fork", "forkserver", "spawn"):
    _executor_rows(_method)


@ROWS.add(
    "processes, fork",
    "`os.fork` in the middle of a request",
    forking,
    set=OTHER_CELL,
    exception=EXIT_CODE,
    cancel="There is nothing to take back.",
)
async def os_fork() -> AsyncIterator[Crossing]:
    async def cross(job: Any, *args: Any) -> Any:
        receive, send = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.write(send, pickle.dumps(job(*args)))
            finally:
                os._exit(0)
        os.close(send)
        with open(receive, "rb") as results:  # noqa: ASYNC230, PTH123 - a descriptor, where no loop runs
            result = pickle.loads(results.read())
        os.waitpid(child, 0)  # noqa: ASYNC222 - no loop runs
        return result

    yield Crossing(cross)
