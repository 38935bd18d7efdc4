"""
Works: what a request has started, and in which of it code runs.

All is known by weak references, and of each request only so much.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final
from weakref import WeakKeyDictionary, ref

from otelctx.core.request import AmbientRequest, Request
from otelctx.core.state import current_request
from otelctx.detect.places import Place, place_here

MAX_FOR_EACH_REQUEST: Final = 1000


class Work:
    """
    Something that was started in a request.

    Attributes:
        kind: what it is, as a message calls it.
        place: where it was started.
    """

    __slots__ = ("_is_running", "_subject", "kind", "place")

    def __init__(self, kind: str, place: Place) -> None:
        """Remember that *kind* was started at *place*; it is not known yet as what."""
        self.kind = kind
        self.place = place
        self._subject: ref[Any] | None = None
        self._is_running: Callable[[Any], bool] = bool

    def is_running(self) -> bool:
        """Tell whether it runs or waits to run."""
        subject = None if self._subject is None else self._subject()
        return subject is not None and self._is_running(subject)

    def is_(self, subject: object, is_running: Callable[[Any], bool]) -> None:
        """Say what it became, and how to ask that whether it is done."""
        try:
            self._subject = ref(subject)
        except TypeError:  # an event loop of others may have such handles
            return
        self._is_running = is_running


_lock = threading.RLock()
_by_request: WeakKeyDictionary[Request, list[Work]] = WeakKeyDictionary()
_by_runner: WeakKeyDictionary[Any, Work] = WeakKeyDictionary()
_local = threading.local()


def request_here() -> Request | None:
    """Return the request that code is in; the stand-in of a task that is in none does not count."""
    request = current_request()
    return None if isinstance(request, AmbientRequest) else request


def start(kind: str, place: Place | None = None) -> Work | None:
    """Return a new work of the request here, or None outside any."""
    request = request_here()
    if request is None:
        return None
    work = Work(kind, place or place_here())
    with _lock:
        works = _by_request.setdefault(request, [])
        if len(works) >= MAX_FOR_EACH_REQUEST:
            works[:] = [other for other in works if other.is_running()][-MAX_FOR_EACH_REQUEST // 2 :]
        works.append(work)
    return work


def runs_as(runner: object, work: Work) -> None:
    """Say that all that the task or thread *runner* runs is *work*."""
    with _lock:
        _by_runner[runner] = work


@contextmanager
def running(work: Work | None) -> Iterator[None]:
    """Say that the block is *work*."""
    outer = getattr(_local, "work", None)
    _local.work = work
    try:
        yield
    finally:
        _local.work = outer
        _local.last = work


def work_here() -> Work | None:
    """Return the work that code runs in, or None if no request has started it."""
    try:
        task = asyncio.current_task()
    except RuntimeError:
        task = None
    found = None if task is None else _by_runner.get(task)
    if found is None:
        found = getattr(_local, "work", None) or _by_runner.get(threading.current_thread())
    return found


def place_of_last_job() -> Place | None:
    """Return where the last thing was started that has run in this thread and is done."""
    last: Work | None = getattr(_local, "last", None)
    return None if last is None else last.place


def take_running(request: Request) -> list[Work]:
    """Return what still runs of *request*, and forget all of it."""
    with _lock:
        works = _by_request.pop(request, [])
    return [work for work in works if work.is_running()]


def forget() -> None:
    """Forget everything."""
    with _lock:
        _by_request.clear()
        _by_runner.clear()
