"""
Processes of this program: `ProcessPoolExecutor`, `multiprocessing.Pool` and `multiprocessing.Process`.

A job runs in the request that submitted it, and a process in the request that started it, by whatever start method. A
worker that serves many is started in none. What they log and trace is sent before they end.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Context
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

from otelctx.boundaries import ending, forks, pools
from otelctx.boundaries.imported import OnImport
from otelctx.boundaries.jobs import Job, is_anything_here
from otelctx.boundaries.patches import Patch, Patches

if TYPE_CHECKING:
    from concurrent.futures import Future, ProcessPoolExecutor
    from multiprocessing.managers import BaseManager
    from multiprocessing.process import BaseProcess

R = TypeVar("R")


def _submit(original: Callable[..., Future[Any]]) -> Callable[..., Future[Any]]:
    @wraps(original)
    def submit(self: ProcessPoolExecutor, fn: Callable[..., R], /, *args: Any, **kwargs: Any) -> Future[R]:
        # In an empty context, so that a worker which this call forks does not live in the first submitter's.
        return Context().run(original, self, Job(), fn, *args, **kwargs)

    return submit


class _Run:
    """
    The `run` of a process on its way to the child.

    A forked child has all of the request anyway, objects too; this one then only calls. Pickled for a child that
    starts from nothing, it takes a job along.
    """

    def __init__(self, process: BaseProcess) -> None:
        self._process = process

    def __call__(self) -> None:
        del self._process.run
        self._process.run()

    def __reduce__(self) -> tuple[Any, ...]:
        return _Arrived, (self._process, Job())


class _Arrived:
    """The same in such a child."""

    def __init__(self, process: BaseProcess, job: Job) -> None:
        self._process = process
        self._job = job

    def __call__(self) -> None:
        del self._process.run
        self._job(self._process.run)


def _start(original: Callable[[BaseProcess], None]) -> Callable[[BaseProcess], None]:
    @wraps(original)
    def start(self: BaseProcess) -> None:
        if "run" in self.__dict__ or not is_anything_here():
            original(self)
            return
        self.run = _Run(self)  # type: ignore[method-assign]
        try:
            original(self)
        finally:
            self.__dict__.pop("run", None)

    return start


def _start_manager(original: Callable[..., None]) -> Callable[..., None]:
    @wraps(original)
    def start(self: BaseManager, *args: Any, **kwargs: Any) -> None:
        # Its server lives on, for whoever asks it next.
        Context().run(original, self, *args, **kwargs)

    return start


_PATCHES = Patches(
    OnImport(
        {
            "concurrent.futures.process": lambda module: (Patch(module.ProcessPoolExecutor, "submit", _submit),),
            "multiprocessing.process": lambda module: (Patch(module.BaseProcess, "start", _start),),
            "multiprocessing.managers": lambda module: (Patch(module.BaseManager, "start", _start_manager),),
        }
    ),
    pools,
    forks,
    ending,
)

install, uninstall = _PATCHES.install, _PATCHES.uninstall
