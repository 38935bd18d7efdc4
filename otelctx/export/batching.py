"""
Batching: items wait in memory until they make a batch, and a thread writes that to the spool.

Adding one never waits for the collector. A full queue spills to disk: whoever adds to it writes a few items away,
unless another thread or process does at that moment. Only when that stalls for long is anything dropped, and counted.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from opentelemetry.instrumentation.utils import suppress_instrumentation

from otelctx.core.reports import report
from otelctx.export import forks
from otelctx.export.batches import Batch
from otelctx.export.counters import COUNTERS
from otelctx.export.protocol import SignalName
from otelctx.export.spool import Spool
from otelctx.export.threads import started

_Item = TypeVar("_Item")

# Few enough that a request does not notice, and enough that the write is worth it.
_SPILLED_AT_ONCE: Final = 16
# How many more may wait while another thread has the disk; only one that stalls for long makes it so many.
_MORE_WHILE_BUSY: Final = 32_768
# What is queued at the end is written for so long at least, whoever has used up the time to wait for the collector.
_LAST_WRITE_SECONDS: Final = 0.25


@dataclass(frozen=True)
class BatchSettings:
    """
    When items leave the memory.

    Attributes:
        delay_seconds: after this long at the latest; what a kill can lose is what ended within it.
        batch_size: as soon as there are so many.
        queue_size: beyond so many, those who add write some to disk themselves.
    """

    delay_seconds: float = 1.0
    batch_size: int = 512
    queue_size: int = 8_192


class Batcher(Generic[_Item]):
    """Used from any thread; a forked process begins with an empty queue."""

    def __init__(
        self, signal: SignalName, spool: Spool, encode: Callable[[Sequence[_Item]], Batch], settings: BatchSettings
    ) -> None:
        """Write what is added to *spool*, as *encode* makes it."""
        self._signal: SignalName = signal
        self._spool = spool
        self._encode = encode
        self._settings = settings
        # Below it there is nothing to do for who adds an item.
        self._few = min(settings.batch_size, settings.queue_size)
        self._queue: deque[_Item] = deque()
        self._is_closed = False
        self._reset()
        forks.watch(self)

    def add(self, item: _Item) -> None:
        """Queue *item*, which takes microseconds unless the queue is full; or write it through."""
        if self._is_closed:
            COUNTERS.add("dropped", self._signal, 1, reason="ended")
            return
        if self._spool.writes_through:
            self._spool.accept(self._encode([item]))
            return
        queue = self._queue
        queue.append(item)
        if self._thread is None:
            self._start()
        waiting = len(queue)
        if waiting >= self._few:
            if waiting >= self._settings.batch_size and not self._wake.is_set():
                self._wake.set()
            if waiting > self._settings.queue_size:
                self._spill()

    def flush(self, seconds: float) -> bool:
        """
        Write what is queued to disk, and wait for the collector unless it fails; all within *seconds*.

        Returns:
            Whether all that was added since the last flush is acknowledged, so on disk or at the collector.
        """
        until = time.monotonic() + seconds
        is_written = self._write_all(until)
        return self._spool.flush(until - time.monotonic()) and is_written

    def close(self) -> None:
        """Do the same for as long as the end of the process may take, and take nothing more."""
        with self._spool.ending() as seconds:
            until = time.monotonic() + max(seconds, _LAST_WRITE_SECONDS)
            self._write_all(until)
            self._is_closed = True
            self._wake.set()
            # What was added meanwhile.
            if not self._write_all(until):
                COUNTERS.add("dropped", self._signal, len(self._queue), reason="ended")
        self._spool.close()

    def before_fork(self) -> None:
        """Do nothing: the spool, whose files are closed, is what the thread would be using."""

    def after_fork(self, *, in_child: bool) -> None:
        """Leave what is queued to the parent."""
        if in_child:
            self._queue.clear()
            self._reset()

    def _reset(self) -> None:
        self._writing = threading.Lock()
        self._starting = threading.Lock()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None

    def _start(self) -> None:
        with self._starting:
            if self._thread is None:
                self._thread = started(f"otelctx-{self._signal}-batches", self._run)

    def _run(self) -> None:
        try:
            with suppress_instrumentation():
                while not self._is_closed:
                    self._wake.wait(self._settings.delay_seconds)
                    self._wake.clear()
                    with self._writing:
                        self._write_due()
        finally:
            # After an exception, which Python shows, the next item starts another thread.
            self._thread = None

    def _write_due(self) -> None:
        # A partial batch at the end of each delay, and none while full ones come.
        self._write(self._settings.batch_size)
        while len(self._queue) >= self._settings.batch_size:
            self._write(self._settings.batch_size)

    def _write_all(self, until: float) -> bool:
        """Write as much as is queued now, and tell whether that was done *until* then."""
        if not self._writing.acquire(timeout=max(0.0, until - time.monotonic())):
            return False
        try:
            left = len(self._queue)
            while left > 0 and time.monotonic() < until:
                left -= self._write(min(left, self._settings.batch_size)) or left
        finally:
            self._writing.release()
        return left <= 0

    def _write(self, count: int) -> int:
        items = self._take(count)
        try:
            if items:
                self._spool.accept(self._encode(items))
        except BaseException:
            COUNTERS.add("dropped", self._signal, len(items), reason="failed")
            raise
        return len(items)

    def _take(self, count: int) -> list[_Item]:
        items: list[_Item] = []
        try:
            while len(items) < count:
                items.append(self._queue.popleft())
        except IndexError:
            pass  # another thread took the last
        return items

    def _spill(self) -> None:
        if not self._spool.is_busy:
            items = self._take(_SPILLED_AT_ONCE)
            if self._spool.accept_at_once(self._encode(items)):
                return
            self._queue.extendleft(reversed(items))
        if len(self._queue) > self._settings.queue_size + _MORE_WHILE_BUSY:
            COUNTERS.add("dropped", self._signal, len(self._take(1)), reason="queue_full")
            report(f"export.queue_full.{self._signal}", "The disk stalls and the queue is full; telemetry is dropped")
