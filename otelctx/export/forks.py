"""
Forks: no spool is open while the process forks, and each process has its own afterwards.

The child shares no connection, no lock and no count with its parent, and drains nothing of the parent's memory.
"""

from __future__ import annotations

import os
from threading import RLock
from typing import Final, Protocol
from weakref import WeakSet

from otelctx.core import reports
from otelctx.export.counters import COUNTERS
from otelctx.export.patience import PATIENCE


class Forking(Protocol):
    """What has something to do when the process forks."""

    def before_fork(self) -> None:
        """Let go of what must not be there twice, and keep other threads from taking it."""
        ...

    def after_fork(self, *, in_child: bool) -> None:
        """Let them again; in the child, be new."""
        ...


# A write takes milliseconds. Where a disk stalls, a fork does not wait for it any longer than this.
PAUSE_SECONDS: Final = 2.0

_watched: WeakSet[Forking] = WeakSet()
_held: list[Forking] = []
_reports_held: list[bool] = []
_registered = False
# Of two threads that fork at once, one waits; and so does who wants to be watched.
_forking: Final = RLock()


def watch(one: Forking) -> None:
    """Call *one* around each fork, for as long as it is alive."""
    global _registered  # noqa: PLW0603 - once per process, and its children have it too
    with _forking:
        _watched.add(one)
    if not _registered:
        _registered = True
        os.register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=_in_child)


def _before() -> None:
    _forking.acquire()
    _held.extend(_watched)
    for one in _held:
        one.before_fork()
    # Last, since a thread may report while it has what was just waited for. A child must not find this lock taken.
    _reports_held.append(reports.lock().acquire(timeout=PAUSE_SECONDS))


def _in_parent() -> None:
    _after(in_child=False)


def _in_child() -> None:
    _after(in_child=True)


def _after(*, in_child: bool) -> None:
    if _reports_held.pop():
        reports.lock().release()
    while _held:
        _held.pop().after_fork(in_child=in_child)
    if in_child:
        COUNTERS.reset()
        PATIENCE.spent = 0.0
    _forking.release()
