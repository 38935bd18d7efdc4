"""
Housekeeping: what the spool's leader does now and then.

What is too old goes, what waits in memory moves to a disk that can be written again, and an empty spool takes no room.
"""

from __future__ import annotations

import time
from typing import Final

from otelctx.core.reports import report
from otelctx.export.clocks import NOTABLE_SECONDS, WallClock
from otelctx.export.counters import COUNTERS
from otelctx.export.database import StoreError
from otelctx.export.pacing import MAX_BYTES, MAX_ITEMS
from otelctx.export.protocol import Signal
from otelctx.export.store import Store

SECONDS: Final = 5.0


class Housekeeper:
    """Used in one thread."""

    def __init__(self, signal: Signal, max_age_seconds: float) -> None:
        """Begin to watch the clock."""
        self._signal = signal
        self._max_age = max_age_seconds
        self._clock = WallClock()

    def tidy(self, store: Store) -> None:
        """
        Drop from *store* what is too old; a clock that was set makes nothing older.

        Raises:
            StoreError: the store cannot be used.
        """
        by, now = self._clock.was_set_by(), time.time()
        # From the future is what a process wrote under a clock that was ahead.
        if by or (store.newest() or 0.0) > now + NOTABLE_SECONDS:
            store.shift(by, now)
        expired = store.expire(now - self._max_age)
        if expired:
            COUNTERS.add("dropped", self._signal.name, expired, reason="expired")
            report(
                f"export.expired.{self._signal.name}",
                "%d %s are dropped; they waited for the collector for more than %d seconds",
                expired,
                self._signal.items,
                self._max_age,
            )
        store.shrink()

    def rescue(self, memory: Store, disk: Store) -> None:
        """Move what waits in *memory* to *disk*, if that can be written again."""
        for stored in memory.oldest(MAX_ITEMS, MAX_BYTES):
            try:
                disk.append(stored.batch, stored.created)
            except StoreError:
                # It was reported when this batch went to memory, and will be when the next one does.
                return
            memory.remove(stored.id, stored.id)
            COUNTERS.add("spooled", self._signal.name, stored.batch.items)
