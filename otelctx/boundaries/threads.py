"""
Threads and thread pools: work runs in the context of whoever handed it over, and nothing of it stays in the worker.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import Context, copy_context
from functools import wraps
from typing import Any, TypeVar

from otelctx.boundaries.patches import Patch

R = TypeVar("R")


def _start(original: Callable[[threading.Thread], None]) -> Callable[[threading.Thread], None]:
    @wraps(original)
    def start(self: threading.Thread) -> None:
        context, run = copy_context(), self.run

        def run_in_context() -> None:
            del self.run
            context.run(run)

        self.run = run_in_context  # type: ignore[method-assign]
        try:
            original(self)
        except BaseException:
            self.__dict__.pop("run", None)
            raise

    return start


def _submit(original: Callable[..., Future[Any]]) -> Callable[..., Future[Any]]:
    @wraps(original)
    def submit(self: ThreadPoolExecutor, fn: Callable[..., R], /, *args: Any, **kwargs: Any) -> Future[R]:
        # In an empty context, so that a worker which this call starts does not live in the first submitter's.
        return Context().run(original, self, copy_context().run, fn, *args, **kwargs)

    return submit


_PATCHES = (Patch(threading.Thread, "start", _start), Patch(ThreadPoolExecutor, "submit", _submit))


def install() -> None:
    """Let threads and thread pools carry the context."""
    for patch in _PATCHES:
        patch.install()


def uninstall() -> None:
    """Restore what Python does by itself."""
    for patch in _PATCHES:
        patch.uninstall()
