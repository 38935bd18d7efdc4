"""
Pacing: when the next request may go out, and how much may be in it.

While the collector fails, tries are further and further apart, with jitter, and never before it allows. When it is
back, requests begin small and slow, and grow to the limit.
"""

from __future__ import annotations

import random
from typing import Final

FIRST_PAUSE_SECONDS: Final = 0.5
# A try in five seconds is less than what a healthy service sends; more rarely would only delay the recovery.
LONGEST_PAUSE_SECONDS: Final = 5.0
# A collector that asks to be left alone for longer than that is asked again all the same.
LONGEST_OBEDIENCE_SECONDS: Final = 300.0

_FIRST_REQUESTS_PER_SECOND: Final = 2.0
_FIRST_ITEMS: Final = 1
MAX_ITEMS: Final = 2_048
# gRPC servers take 4 MiB when they are not told otherwise.
MAX_BYTES: Final = 1024 * 1024


class Pace:
    """The pace of one drainer; times are of a monotonic clock, in seconds."""

    def __init__(self, requests_per_second: float) -> None:
        """Begin at full pace: most collectors are there."""
        self._limit = self._rate = requests_per_second
        self._pause = FIRST_PAUSE_SECONDS
        self._next = float("-inf")
        self.max_items = MAX_ITEMS
        self.is_failing = False

    def wait(self, now: float) -> float:
        """Return for how many seconds nothing may be sent."""
        return max(0.0, self._next - now)

    def succeeded(self, now: float) -> None:
        """Note that the collector took a request."""
        self.is_failing = False
        self._pause = FIRST_PAUSE_SECONDS
        self._next = now + _jittered(1 / self._rate)
        self._rate = min(self._limit, self._rate * 2)
        self.max_items = min(MAX_ITEMS, self.max_items * 4)

    def failed(self, now: float, after: float | None = None) -> None:
        """Note that it could not, and *after* how many seconds it wants to be asked again."""
        self.is_failing = True
        self._rate = min(self._limit, _FIRST_REQUESTS_PER_SECOND)
        self.max_items = _FIRST_ITEMS
        self._next = now + max(_jittered(self._pause), min(after or 0.0, LONGEST_OBEDIENCE_SECONDS))
        self._pause = min(self._pause * 2, LONGEST_PAUSE_SECONDS)


def _jittered(seconds: float) -> float:
    return seconds * random.uniform(0.5, 1.0)  # noqa: S311 - jitter, not a secret
