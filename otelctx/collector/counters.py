"""
Counters and rationed warnings: what happened, how often.

A counter always moves; the log line beside it comes at most once a minute for each kind, and quotes no body.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

LOGGER = logging.getLogger("otelctx.collector")
SECONDS_BETWEEN_WARNINGS = 60.0


class Counters:
    """
    Count events by group and kind, from any thread.

    Both come from a closed set in the code, never from outside, so the number of counters is bounded.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Start at zero; *clock* gives seconds and rations the warnings."""
        self._clock = clock
        self._lock = threading.Lock()
        self._counts: dict[str, Counter[str]] = {}
        self._warned: dict[str, float] = {}
        self._unsaid: Counter[str] = Counter()

    def add(self, group: str, kind: str, amount: int = 1) -> None:
        """Add *amount* to the counter *kind* of *group*."""
        with self._lock:
            self._counts.setdefault(group, Counter())[kind] += amount

    def group(self, group: str) -> dict[str, int]:
        """Give the counters of *group* as they are now."""
        with self._lock:
            return dict(self._counts.get(group, {}))

    def warn(self, kind: str, message: str) -> None:
        """Log *message* unless the same *kind* was logged within the last minute; then only count it."""
        with self._lock:
            now = self._clock()
            last = self._warned.get(kind)
            if last is not None and now - last < SECONDS_BETWEEN_WARNINGS:
                self._unsaid[kind] += 1
                return
            self._warned[kind] = now
            unsaid = self._unsaid.pop(kind, 0)
        suffix = f" ({unsaid} more like it since the last line)" if unsaid else ""
        LOGGER.warning("%s%s", message, suffix)
