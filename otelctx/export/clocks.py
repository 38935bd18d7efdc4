"""
Clocks: how far the wall clock was set while the process ran.

Ages are between wall clock times, since only those mean something to the next process. So when the clock is set, what
waits is moved with it; otherwise an hour forward would make everything an hour older.
"""

from __future__ import annotations

import time
from typing import Final

# What is less is the slewing of a clock that is kept right.
NOTABLE_SECONDS: Final = 30.0


class WallClock:
    """Compares the wall clock with one that nobody can set."""

    def __init__(self) -> None:
        """Begin to compare."""
        self._difference = time.time() - steady()

    def was_set_by(self) -> float:
        """Return by how many seconds the clock was set since this was last asked; 0 when it was not."""
        difference = time.time() - steady()
        by = difference - self._difference
        if abs(by) < NOTABLE_SECONDS:
            return 0.0
        self._difference = difference
        return by


def steady() -> float:
    """Return seconds that go on while the machine sleeps, where there is such a clock."""
    # On Linux, time.monotonic stands still meanwhile, and every sleep would look like a clock set forward.
    boot = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if boot is None else time.clock_gettime(boot)
