"""
Rationed reports: what goes wrong on the request path is always counted and logged at most once a minute per kind.

A report never quotes a value that came from outside: neither its size nor its characters are ours to trust.
"""

from __future__ import annotations

import logging
import time
from threading import RLock

_logger = logging.getLogger("otelctx")

INTERVAL_SECONDS = 60.0

# Reentrant: a signal handler or a finalizer may report while its own thread does.
_lock = RLock()
_counts: dict[str, int] = {}
_logged_at: dict[str, float] = {}


def report(kind: str, message: str, *args: object, times: int = 1) -> None:
    """Count *kind*, *times* more, and log *message* as a warning unless that was done within the last minute."""
    now = time.monotonic()
    with _lock:
        _counts[kind] = count = _counts.get(kind, 0) + times
        last = _logged_at.get(kind)
        if last is not None and now - last < INTERVAL_SECONDS:
            return
        _logged_at[kind] = now
    _logger.warning(f"{message} (%s: %d so far)", *args, kind, count)  # noqa: G004 - the format is ours, the args are lazy


def count(kind: str) -> None:
    """Count one more *kind*, which is as it is meant to be and nothing to warn of."""
    with _lock:
        _counts[kind] = _counts.get(kind, 0) + 1


def lock() -> RLock:
    """Return the lock of this module; no fork may happen while another thread holds it."""
    return _lock


def counts() -> dict[str, int]:
    """Return how often each kind was reported or counted since the process started."""
    with _lock:
        return dict(_counts)
