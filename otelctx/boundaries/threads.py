"""
Threads and thread pools: work runs in the context of whoever handed it over, and nothing of it stays in the worker.

A thread that an application starts lives in its starter's context; a pool's worker, which serves many, lives in none.
What starts threads below `threading`, with `_thread.start_new_thread` or in C, is not seen here; wrap the function
with `otelctx.wrap`. A pool of another interpreter (`InterpreterPoolExecutor`) shares nothing, and gets nothing.
"""

from __future__ import annotations

import concurrent.futures
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import Context, copy_context
from functools import partial, wraps
from types import ModuleType
from typing import Any, Final, TypeVar

from otelctx.boundaries.patches import Patch, Patches, proxies_of

R = TypeVar("R")


def _start(original: Callable[[threading.Thread], None]) -> Callable[[threading.Thread], None]:
    @wraps(original)
    def start(self: threading.Thread) -> None:
        if getattr(self, "_context", None) is not None:  # Thread(context=…), from Python 3.14 on
            original(self)
            return
        # An instance may have a `run` of its own, which is there again afterwards.
        context, run, own = copy_context(), self.run, self.__dict__.get("run")

        def run_in_context() -> None:
            _put_back(self, own)
            context.run(run)

        self.run = run_in_context  # type: ignore[method-assign]
        try:
            original(self)
        except BaseException:
            _put_back(self, own)
            raise

    return start


def _put_back(thread: threading.Thread, run: Callable[[], None] | None) -> None:
    if run is None:
        thread.__dict__.pop("run", None)
    else:
        thread.run = run  # type: ignore[method-assign]


_OTHER_INTERPRETERS: Final[tuple[type, ...]] = tuple(
    kind for kind in [getattr(concurrent.futures, "InterpreterPoolExecutor", None)] if kind is not None
)


def _submit(original: Callable[..., Future[Any]]) -> Callable[..., Future[Any]]:
    @wraps(original)
    def submit(self: ThreadPoolExecutor, fn: Callable[..., R], /, *args: Any, **kwargs: Any) -> Future[R]:
        # In an empty context, so that a worker which this call starts does not live in the first submitter's.
        if isinstance(self, _OTHER_INTERPRETERS):
            return Context().run(original, self, fn, *args, **kwargs)
        return Context().run(original, self, copy_context().run, fn, *args, **kwargs)

    return submit


def _add_done_callback(original: Callable[..., None]) -> Callable[..., None]:
    @wraps(original)
    def add_done_callback(self: Future[R], fn: Callable[[Future[R]], object]) -> None:
        # By itself it would run where the result is set: in the worker, or in whoever cancels.
        in_context: Callable[[Future[R]], object] = partial(copy_context().run, fn)  # type: ignore[call-arg]
        original(self, in_context)

    return add_done_callback


def _in_no_context(original: Callable[..., R]) -> Callable[..., R]:
    @wraps(original)
    def outside(*args: Any, **kwargs: Any) -> R:
        return Context().run(original, *args, **kwargs)

    return outside


# From Python 3.14 on it can be told to do this by itself, and free-threaded builds are.
_NATIVE: Final = bool(getattr(sys.flags, "thread_inherit_context", False))


class ThreadStart(Patch):
    """
    `Thread.start`, replaced for `Timer` as well.

    OpenTelemetry's instrumentor makes `Timer.start` a method of its own, and leaves it one: a proxy of what was here.
    """

    def __init__(self, make: Callable[[Any], Any]) -> None:
        """Prepare; nothing is replaced yet."""
        super().__init__(threading.Thread, "start", make)

    def install(self) -> None:
        """Replace it, for both."""
        self._drop_leftover()
        super().install()

    def uninstall(self) -> None:
        """Put the original back, for both."""
        self._drop_leftover()
        super().uninstall()

    @staticmethod
    def _drop_leftover() -> None:
        proxies = proxies_of(threading.Timer, "start")
        if proxies and proxies[-1].__wrapped__ is vars(threading.Thread)["start"]:
            del threading.Timer.start


_PATCHES = Patches(
    *(() if _NATIVE else (ThreadStart(_start),)),
    Patch(ThreadPoolExecutor, "submit", _submit),
    Patch(Future, "add_done_callback", _add_done_callback),
)

install, uninstall = _PATCHES.install, _PATCHES.uninstall


def anyio_workers(module: ModuleType) -> tuple[Patch, ...]:
    """Return what lets the workers of anyio's `to_thread` on asyncio live in no context; each job has its own."""
    worker = getattr(module, "WorkerThread", None)
    return () if worker is None else (Patch(worker, "start", _in_no_context),)


def trio_workers(module: ModuleType) -> tuple[Patch, ...]:
    """Return what lets the workers of trio's thread cache live in no context; each job has its own."""
    worker = getattr(module, "WorkerThread", None)
    return () if worker is None else (Patch(worker, "__init__", _in_no_context),)
