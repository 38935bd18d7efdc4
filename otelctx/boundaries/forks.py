"""
Forks: a child finds the lock of the reports free.

A fork copies a lock as it is, but not the thread that holds it, so one that another thread holds at that moment would
be held in the child for ever. Nothing else is to be done: the child has the context, and a copy of the request.
"""

from __future__ import annotations

import os
from typing import Final

from otelctx.core import reports

# It is held for microseconds. Whoever forks inside of it all the same, from a finalizer, does not wait for itself.
_SECONDS: Final = 1.0

_registered = False
_on = False
_held = False


def install() -> None:
    """Hold the lock during each fork from now on."""
    global _on, _registered  # noqa: PLW0603 - once per process
    _on = True
    if not _registered and hasattr(os, "register_at_fork"):
        _registered = True
        os.register_at_fork(before=_hold, after_in_parent=_release, after_in_child=_release)


def uninstall() -> None:
    """Leave forks alone."""
    global _on  # noqa: PLW0603 - once per process
    _on = False


def _hold() -> None:
    global _held  # noqa: PLW0603 - there is one fork at a time in a process that holds the lock
    if _on and reports.lock().acquire(timeout=_SECONDS):
        _held = True


def _release() -> None:
    global _held  # noqa: PLW0603 - see above
    if _held:
        _held = False
        reports.lock().release()
