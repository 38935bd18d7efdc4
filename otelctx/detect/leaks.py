"""
Leaks: what still runs in a request that has ended, and workers that a job has left in one.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import thread
from functools import wraps
from typing import Any

from otelctx.boundaries.patches import Patch, Patches
from otelctx.core.fields import Field
from otelctx.core.request import Request
from otelctx.core.watching import watch
from otelctx.detect import findings, losses, works


class _Watcher:
    """What is told of the ends of requests."""

    def request_ended(self, request: Request, *, may_raise: bool) -> None:
        # What ends it may itself be something that it started, as a callback is.
        own = works.work_here()
        errors = [findings.leak(work.kind, work.place) for work in works.take_running(request) if work is not own]
        raised = next((error for error in errors if error is not None), None)
        if may_raise and raised is not None:
            findings.take_back(raised)
            raise raised

    def value_missing(self, field: Field) -> None:
        error = losses.look(f"a look for the required field {field.name!r}")
        if error is not None:
            findings.take_back(error)
            raise error


def _run(original: Callable[..., None]) -> Callable[..., None]:
    @wraps(original)
    def run(self: Any, *args: Any, **kwargs: Any) -> None:
        was_clean = works.request_here() is None
        original(self, *args, **kwargs)
        if was_clean and works.request_here() is not None:
            place = works.place_of_last_job()
            if place is not None:
                findings.dirty(place)

    return run


# Not public: where it is gone, workers are not looked at. It is the only place around a job and yet in the worker.
_WORK_ITEM = getattr(thread, "_WorkItem", None)
_PATCHES = Patches(*(() if _WORK_ITEM is None else (Patch(_WORK_ITEM, "run", _run),)))


def install() -> None:
    """Look from now on."""
    _PATCHES.install()
    watch(_Watcher())


def uninstall() -> None:
    """Look no more."""
    watch(None)
    _PATCHES.uninstall()
