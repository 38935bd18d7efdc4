"""
The spool of one signal: its batches are written to disk first and sent then, so that no moment of death loses one.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from otelctx.export import forks
from otelctx.export.batches import Batch
from otelctx.export.counters import COUNTERS
from otelctx.export.delivering import Delivery
from otelctx.export.draining import Drainer
from otelctx.export.endpoint import Endpoint
from otelctx.export.housekeeping import Housekeeper
from otelctx.export.keeping import Keeper
from otelctx.export.pacing import Pace
from otelctx.export.patience import PATIENCE
from otelctx.export.protocol import SIGNALS, SignalName
from otelctx.export.sending import sender_for
from otelctx.export.settings import SpoolSettings

_CHECK_SECONDS: Final = 0.01


class Spool:
    """
    Processes with the same service and endpoint share what is on disk, and one of them sends it.

    Attributes:
        writes_through: whether each item is written at once.
    """

    def __init__(self, signal: SignalName, endpoint: Endpoint, settings: SpoolSettings) -> None:
        """Open the spool, and begin to deliver what an earlier process has left in it."""
        self._signal = SIGNALS[signal]
        self._endpoint = endpoint
        self._settings = settings
        self.writes_through = settings.write_through
        self._keeper = Keeper(self._signal, endpoint, settings)
        self._delivery = Delivery(f"otelctx-{signal}", self._drainer)
        self._is_closed = False
        self._dropped = COUNTERS.total("dropped", signal)
        forks.watch(self)
        COUNTERS.publish()
        self._delivery.wake()

    def accept(self, batch: Batch) -> bool:
        """Take *batch*, and tell whether it is on disk, so acknowledged; else in memory, or counted as dropped."""
        if self._is_closed:
            COUNTERS.add("dropped", self._signal.name, batch.items, reason="ended")
            return False
        is_acknowledged = self._keeper.keep(batch)
        self._delivery.wake()
        return is_acknowledged

    def accept_at_once(self, batch: Batch) -> bool:
        """Write *batch* to disk if that takes no wait, and tell whether that was done."""
        if self._is_closed or not self._keeper.keep_at_once(batch):
            return False
        self._delivery.wake()
        return True

    @property
    def is_busy(self) -> bool:
        """Whether a thread writes now."""
        return self._keeper.is_busy

    def is_empty(self) -> bool:
        """
        Tell whether nothing waits, in memory or on disk, of any process.

        Raises:
            StoreError: the disk cannot be used.
        """
        return self._keeper.is_empty()

    def flush(self, seconds: float) -> bool:
        """
        Wait until the collector has what was accepted, for at most *seconds*, and not for a collector that fails.

        Returns:
            Whether all of it since the last flush is acknowledged, so on disk or at the collector.
        """
        self._settle(time.monotonic() + seconds)
        dropped, self._dropped = self._dropped, COUNTERS.total("dropped", self._signal.name)
        return self._keeper.is_acknowledged() and dropped == self._dropped

    @contextmanager
    def ending(self) -> Iterator[float]:
        """Give how many seconds the block may take at the end of the process."""
        with PATIENCE.waiting(self._settings.shutdown_seconds) as seconds:
            yield seconds

    def close(self) -> None:
        """Flush for as long as the end of the process may take, and take nothing more."""
        if self._is_closed:
            return
        with self.ending() as seconds:
            until = time.monotonic() + seconds
            self.flush(seconds)
            self._is_closed = True
            self._delivery.stop(until - time.monotonic())
        self._keeper.close()

    def before_fork(self) -> None:
        """Close what must not be there twice."""
        self._keeper.before_fork()

    def after_fork(self, *, in_child: bool) -> None:
        """Go on; in the child as a process of its own."""
        self._keeper.after_fork(in_child=in_child)
        if in_child:
            self._delivery.after_fork_in_child()
            self._dropped = 0

    def _settle(self, until: float) -> None:
        position = self._keeper.last()
        while not self._keeper.has_delivered(position) and not self._delivery.is_failing:
            if time.monotonic() >= until:
                return
            self._delivery.hurry()
            time.sleep(_CHECK_SECONDS)

    def _drainer(self) -> Drainer:
        return Drainer(
            signal=self._signal,
            endpoint=self._endpoint,
            sender=sender_for(self._signal, self._endpoint),
            pace=Pace(self._settings.requests_per_second),
            housekeeper=Housekeeper(self._signal, self._settings.max_age_seconds),
            disk=self._keeper.disk,
            memory=self._keeper.memory,
        )
