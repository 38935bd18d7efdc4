"""
Draining: sends what waits, oldest first, one request at a time, and forgets what the collector has.

Of the processes that share a spool one drains the disk; each drains its own memory.
"""

from __future__ import annotations

import logging
import time
from typing import Final

from otelctx.core.reports import report
from otelctx.export.counters import COUNTERS
from otelctx.export.database import StoreError
from otelctx.export.endpoint import Endpoint
from otelctx.export.housekeeping import SECONDS, Housekeeper
from otelctx.export.leadership import Leadership
from otelctx.export.outcomes import Delivered, Refused, Sender, Unavailable
from otelctx.export.pacing import MAX_BYTES, Pace
from otelctx.export.protocol import Signal
from otelctx.export.refusals import no_collector
from otelctx.export.store import Store, Stored
from otelctx.export.trouble import without_disk

# How soon a batch is seen that another process wrote, and how soon one takes over from a leader that is gone.
POLL_SECONDS: Final = 0.25

_logger = logging.getLogger("otelctx")


class Drainer:
    """Used in one thread; `step` does a little, and says when it wants to be called again."""

    def __init__(
        self,
        *,
        signal: Signal,
        endpoint: Endpoint,
        sender: Sender,
        pace: Pace,
        housekeeper: Housekeeper,
        disk: Store | None,
        memory: Store,
    ) -> None:
        """
        Lead nothing and send nothing yet.

        Args:
            signal: what is sent.
            endpoint: where it goes, for messages.
            sender: sends it.
            pace: says when.
            housekeeper: keeps the stores tidy.
            disk: shared with other processes; None when it cannot be used.
            memory: of this process.
        """
        self._signal = signal
        self._endpoint = endpoint
        self._sender = sender
        self._housekeeper = housekeeper
        self._disk = disk
        self._memory = memory
        path = None if disk is None else disk.database.path
        self._leadership = None if path is None else Leadership(path.with_suffix(".lock"))
        self._tidied_at = float("-inf")
        # The store, the first and the last batch of a request that was refused; each of them is sent alone.
        self._alone: tuple[Store, int, int] | None = None
        # The first and the last batch that the collector has, and a disk that was full still had.
        self._sent: tuple[int, int] | None = None
        self._pace = pace

    def step(self) -> float | None:
        """
        Send one request, if there is anything and the pace allows.

        Returns:
            After how many seconds to go on; None when nothing waits.
        """
        with without_disk(self._signal):
            self._lead()
            self._remove_sent()
            self._tidy()
        wait = self._pace.wait(time.monotonic())
        if wait:
            return min(wait, POLL_SECONDS)
        for store in filter(None, (self._led, self._memory)):
            waiting = self._oldest(store)
            if waiting:
                self._send(store, waiting)
                return 0.0
        return None

    @property
    def is_failing(self) -> bool:
        """Whether the collector took nothing when it was last tried, by this process or by the one that leads."""
        if self._disk is not None and not self._pace.is_failing:
            with without_disk(self._signal):
                return self._disk.is_failing()
        return self._pace.is_failing

    def close(self) -> None:
        """Let another process lead, and disconnect."""
        if self._leadership is not None:
            self._leadership.release()
        self._sender.close()
        # A request that ended late may have opened it again.
        if self._disk is not None:
            self._disk.database.close()

    def disconnect(self) -> None:
        """End a request that takes too long, from another thread."""
        self._sender.close()

    @property
    def _led(self) -> Store | None:
        """The store on disk, if this process drains it."""
        is_leading = self._leadership is not None and self._leadership.is_held
        # Or what cannot be removed would be sent again and again.
        return self._disk if is_leading and self._sent is None else None

    def _lead(self) -> None:
        if self._leadership is None or self._disk is None or self._leadership.is_held:
            return
        if not self._leadership.acquire():
            return
        try:
            was_failing = self._disk.is_failing()
        except StoreError:
            # Whoever cannot read the spool leaves it to one who can.
            self._leadership.release()
            raise
        if was_failing:
            # Said by a leader that is gone.
            self._disk.set_failing(False)

    def _tidy(self) -> None:
        now = time.monotonic()
        if now - self._tidied_at < SECONDS:
            return
        self._tidied_at = now
        if self._disk is not None:
            self._housekeeper.rescue(self._memory, self._disk)
        if self._led is not None:
            self._housekeeper.tidy(self._led)

    def _remove_sent(self) -> None:
        if self._sent is not None and self._disk is not None:
            self._disk.remove(*self._sent)
            self._sent = None

    def _oldest(self, store: Store) -> list[Stored]:
        waiting: list[Stored] = []
        with without_disk(self._signal):
            waiting = store.oldest(self._pace.max_items, MAX_BYTES)
        if waiting and self._alone is not None:
            refused, first, last = self._alone
            if store is refused and first <= waiting[0].id <= last:
                return waiting[:1]
        return waiting

    def _send(self, store: Store, waiting: list[Stored]) -> None:
        outcome = self._sender.send(b"".join(stored.batch.payload for stored in waiting))
        if isinstance(outcome, Unavailable):
            self._pace.failed(time.monotonic(), outcome.after)
            self._set_failing(True)
            self._tell(outcome)
            return
        self._pace.succeeded(time.monotonic())
        self._set_failing(False)
        if isinstance(outcome, Refused) and outcome.for_content and len(waiting) > 1:
            self._alone = store, waiting[0].id, waiting[-1].id
            return
        self._count(outcome, sum(stored.batch.items for stored in waiting))
        first, last = waiting[0].id, waiting[-1].id
        if store is self._memory:
            store.remove(first, last)
        else:
            self._sent = first, last
            with without_disk(self._signal):
                self._remove_sent()

    def _set_failing(self, failing: bool) -> None:
        led = self._led
        if led is None:
            return
        with without_disk(self._signal):
            if led.is_failing() != failing:
                led.set_failing(failing)
                if not failing:
                    _logger.info("The collector at %s takes %s again", self._endpoint.shown, self._signal.items)

    def _tell(self, outcome: Unavailable) -> None:
        shown = self._endpoint.shown
        trouble = no_collector(shown) if outcome.is_refused else f"The collector at {shown} fails ({outcome.trouble})."
        place = "in memory" if self._disk is None else f"in {self._disk.database.path}"
        report(f"export.unavailable {shown}", "%s What cannot be delivered waits %s", trouble, place)

    def _count(self, outcome: Delivered | Refused, items: int) -> None:
        name, shown = self._signal.name, self._endpoint.shown
        if isinstance(outcome, Refused):
            COUNTERS.add("dropped", name, items, reason="refused")
            report(
                f"export.refused.{name}",
                "The collector at %s refuses %s for good (%s); they are dropped",
                shown,
                self._signal.items,
                outcome.trouble,
            )
            return
        rejected = min(outcome.rejected, items)
        COUNTERS.add("delivered", name, items - rejected)
        COUNTERS.add("dropped", name, rejected, reason="rejected")
        if rejected:
            report(
                f"export.rejected.{name}",
                "The collector at %s took a request, but not all of its %s; what it did not take is dropped",
                shown,
                self._signal.items,
            )
