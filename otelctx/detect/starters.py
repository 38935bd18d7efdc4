"""
Starters: the functions that start work, replaced so that what a request starts is known, and where.

They go on top of those in `otelctx.boundaries` and leave what those do to them.
"""

from __future__ import annotations

import _thread
import threading
from asyncio import BaseEventLoop
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from functools import wraps
from multiprocessing.pool import AsyncResult, Pool, ThreadPool
from multiprocessing.process import BaseProcess
from types import ModuleType
from typing import Any, Final

from otelctx.boundaries.imported import OnImport
from otelctx.boundaries.patches import Patch, Patches
from otelctx.boundaries.threads import ThreadStart
from otelctx.detect import works
from otelctx.detect.places import Place, is_called_by_application, is_of_application, place_here, place_of


def _thread_start(original: Callable[[threading.Thread], None]) -> Callable[[threading.Thread], None]:
    @wraps(original)
    def start(self: threading.Thread) -> None:
        work = works.start("thread")
        if work is not None:
            work.is_(self, threading.Thread.is_alive)
            works.runs_as(self, work)
        original(self)

    return start


def _new_thread(original: Callable[..., int]) -> Callable[..., int]:
    @wraps(original)
    def start_new_thread(function: Callable[..., Any], args: Any, *kwargs: Any) -> int:
        work = works.start("thread")
        return original(function if work is None else _As(work, function), args, *kwargs)

    return start_new_thread


def _create_task(original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def create_task(self: Any, coro: Any, **kwargs: Any) -> Any:
        work = None if works.request_here() is None else works.start("task", _place_of_task(coro))
        task = original(self, coro, **kwargs)
        if work is not None:
            work.is_(task, _is_not_done)
            works.runs_as(task, work)
        return task

    return create_task


def _place_of_task(coroutine: Any) -> Place:
    place = place_here()
    code = getattr(coroutine, "cr_code", None)
    # Handed over from another thread, it is the loop that makes the task; the function tells more then.
    if code is None or is_of_application(place.file) or not is_of_application(code.co_filename):
        return place
    return place_of(code)


def _call_at(original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def call_at(self: Any, when: float, callback: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        # Those of servers and clients (keep-alive, time limits) are theirs, and nobody can wait for them.
        work = works.start("timer") if is_called_by_application() else None
        if work is None:
            return original(self, when, callback, *args, **kwargs)
        handle = original(self, when, _As(work, callback), *args, **kwargs)
        work.is_(handle, lambda handle: not handle.cancelled() and handle.when() > self.time())
        return handle

    return call_at


def _thread_submit(original: Callable[..., Future[Any]]) -> Callable[..., Future[Any]]:
    @wraps(original)
    def submit(self: ThreadPoolExecutor, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        work = works.start("job")
        if work is None:
            return original(self, fn, *args, **kwargs)
        future = original(self, _As(work, fn), *args, **kwargs)
        work.is_(future, _is_not_done)
        return future

    return submit


def _process_submit(original: Callable[..., Future[Any]]) -> Callable[..., Future[Any]]:
    @wraps(original)
    def submit(self: ProcessPoolExecutor, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        work = works.start("job")
        future = original(self, fn, *args, **kwargs)
        if work is not None:
            work.is_(future, _is_not_done)
        return future

    return submit


def _pool(original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def submitted(self: Pool, func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        # `apply` and others call one of these, and `ThreadPool` has those of `Pool`: it is one job for all that.
        work = None if isinstance(func, _As) else works.start("job")
        if work is not None and isinstance(self, ThreadPool):
            func = _As(work, func)
        result = original(self, func, *args, **kwargs)
        # What waits for its results by itself is done; an iterator of results does not say how far it is.
        if work is not None and isinstance(result, AsyncResult):
            work.is_(result, lambda result: not result.ready())
        return result

    return submitted


def _process_start(original: Callable[[BaseProcess], None]) -> Callable[[BaseProcess], None]:
    @wraps(original)
    def start(self: BaseProcess) -> None:
        work = works.start("process")
        original(self)
        if work is not None:
            work.is_(self, BaseProcess.is_alive)

    return start


class _As:
    """A function as a work."""

    __slots__ = ("_function", "_work")

    def __init__(self, work: works.Work, function: Callable[..., Any]) -> None:
        self._work = work
        self._function = function

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        with works.running(self._work):
            return self._function(*args, **kwargs)


def _is_not_done(future: Any) -> bool:
    return not future.done()


def _uvloop(module: ModuleType) -> tuple[Patch, ...]:
    return (
        Patch(module.Loop, "create_task", _create_task),
        Patch(module.Loop, "call_at", _call_at),
        Patch(module.Loop, "call_later", _call_at),
    )


_POOL: Final = ("apply_async", "map", "map_async", "starmap", "starmap_async", "imap", "imap_unordered")

_PATCHES: Final = Patches(
    ThreadStart(_thread_start),
    Patch(_thread, "start_new_thread", _new_thread),
    Patch(BaseEventLoop, "create_task", _create_task),
    Patch(BaseEventLoop, "call_at", _call_at),
    Patch(ThreadPoolExecutor, "submit", _thread_submit),
    Patch(ProcessPoolExecutor, "submit", _process_submit),
    *(Patch(Pool, name, _pool) for name in _POOL),
    *(Patch(ThreadPool, name, _pool) for name in _POOL),
    Patch(BaseProcess, "start", _process_start),
    OnImport({"uvloop": _uvloop}),
)

install = _PATCHES.install


def uninstall() -> None:
    """Restore what starts work, and forget what was started."""
    _PATCHES.uninstall()
    works.forget()
