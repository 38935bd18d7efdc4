"""
Rows: threads, timers and consumers of queues.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import AsyncIterator, Callable
from contextvars import Context
from functools import partial
from typing import Any, Final

import otelctx
from tests.conformance.boundary import Crossing, Rows
from tests.conformance.runners import without_loop

ROWS = Rows()
threads = partial(ROWS.add, "threads", run=without_loop)

NOT_CANCELLED: Final = "Python cannot cancel what runs in a thread."

Make = Callable[[Callable[[], None]], threading.Thread]


def ran_in_thread(make: Make, job: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    """Run *job* in the thread that *make* returns; what it raises arrives where threads report it."""
    results: list[Any] = []
    errors: list[BaseException | None] = []
    hook, threading.excepthook = threading.excepthook, lambda about: errors.append(about.exc_value)
    try:
        thread = make(lambda: results.append(job(*args)))
        thread.start()
        thread.join()
    finally:
        threading.excepthook = hook
    if errors:
        assert errors[0] is not None
        raise errors[0]
    return results[0]


def _threads(make: Make) -> Crossing:
    async def cross(job: Any, *args: Any) -> Any:
        return ran_in_thread(make, job, args)

    return Crossing(cross)


@threads("`Thread`", cancel=NOT_CANCELLED)
async def thread() -> AsyncIterator[Crossing]:
    yield _threads(lambda target: threading.Thread(target=target))


@threads("`Thread`, a subclass with a `run` of its own", cancel=NOT_CANCELLED)
async def thread_subclass() -> AsyncIterator[Crossing]:
    class Worker(threading.Thread):
        def __init__(self, work: Callable[[], None]) -> None:
            super().__init__()
            self.work = work

        def run(self) -> None:
            self.work()

    yield _threads(Worker)


@threads("`Timer`")
async def timer() -> AsyncIterator[Crossing]:
    async def cancel() -> None:
        later = threading.Timer(3600, lambda: None)
        later.start()
        later.cancel()
        later.join()

    yield Crossing(_threads(lambda target: threading.Timer(0, target)).cross, cancel)


class _Consumer:
    """A thread that runs what it is given, item by item."""

    def __init__(self) -> None:
        self._items: queue.Queue[Any] = queue.Queue()
        self._thread = threading.Thread(target=self._consume, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._items.put(None)
        self._thread.join()

    def _consume(self) -> None:
        while (item := self._items.get()) is not None:
            job, done = item
            try:
                done.put((job(), None))
            except Exception as error:  # noqa: BLE001 - it belongs to the item
                done.put((None, error))
            del item, job, done

    async def cross(self, job: Any, *args: Any) -> Any:
        done: queue.Queue[Any] = queue.Queue()
        self._items.put((otelctx.snapshot().wrap(partial(job, *args)), done))
        result, error = done.get()
        if error is not None:
            raise error
        return result


NO_CANCELLING: Final = "A queue has no way to take an item back."


@threads("`queue.Queue`, a consumer for all, items made with `snapshot().wrap`", cancel=NO_CANCELLING)
async def queue_consumer() -> AsyncIterator[Crossing]:
    consumer = _Consumer()
    consumer.start()
    yield Crossing(consumer.cross)
    consumer.stop()


@threads("daemon thread from before any request, items made with `snapshot().wrap`", cancel=NO_CANCELLING)
async def daemon_from_import() -> AsyncIterator[Crossing]:
    consumer = _Consumer()
    Context().run(consumer.start)
    yield Crossing(consumer.cross)
    consumer.stop()
