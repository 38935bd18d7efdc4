"""
Keeping: where batches wait. That is the disk; where it cannot be used it is the memory, which is bounded as well.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final
from urllib.parse import quote

from otelctx.core.reports import report
from otelctx.export import forks
from otelctx.export.batches import Batch
from otelctx.export.counters import COUNTERS, Reason
from otelctx.export.database import StoreError
from otelctx.export.endpoint import Endpoint
from otelctx.export.private import private_directory
from otelctx.export.protocol import Signal
from otelctx.export.settings import SpoolSettings
from otelctx.export.store import Store
from otelctx.export.trouble import without_disk

_LONGEST_NAME: Final = 100


class Keeper:
    """
    Keeps the batches of one signal.

    Attributes:
        disk: shared with the other processes of the service; None when it cannot be used.
        memory: of this process.
    """

    def __init__(self, signal: Signal, endpoint: Endpoint, settings: SpoolSettings) -> None:
        """Find the place on disk, or say that there is none."""
        self._signal = signal
        self._settings = settings
        self.memory = Store(None, max_bytes=settings.max_memory_bytes)
        self.disk = self._disk(endpoint)
        self._held: list[Store] = []

    def keep(self, batch: Batch) -> bool:
        """Keep *batch*, and tell whether it is on disk, so acknowledged; else in memory, or counted as dropped."""
        if not batch.items:
            return False
        if self.disk is not None and len(batch.payload) <= self._settings.max_bytes:
            with without_disk(self._signal):
                return self._written(batch, self.disk.append(batch))
        return self._remember(batch)

    def keep_at_once(self, batch: Batch) -> bool:
        """Write *batch* to disk if that takes no wait, and tell whether that was done."""
        if self.disk is None or not batch.items or len(batch.payload) > self._settings.max_bytes:
            return False
        dropped = self.disk.append_at_once(batch)
        return dropped is not None and self._written(batch, dropped)

    @property
    def is_busy(self) -> bool:
        """Whether a thread uses the disk now."""
        return self.disk is not None and self.disk.database.is_busy

    def last(self) -> tuple[int, int]:
        """Return the position of the newest batch, for `has_delivered`."""
        on_disk = 0
        if self.disk is not None:
            with without_disk(self._signal):
                on_disk = self.disk.last()
        return on_disk, self.memory.last()

    def has_delivered(self, position: tuple[int, int]) -> bool:
        """Tell whether nothing waits up to *position*, as far as the disk can be read."""
        on_disk, in_memory = position
        if self.disk is not None:
            with without_disk(self._signal):
                if _waits(self.disk, on_disk):
                    return False
        return not _waits(self.memory, in_memory)

    def is_empty(self) -> bool:
        """Tell whether nothing waits."""
        return all(store.first() is None for store in self._stores())

    def is_acknowledged(self) -> bool:
        """Tell whether nothing is in memory only."""
        return self.memory.first() is None

    def close(self) -> None:
        """Close the files, and count what was in memory only."""
        lost = sum(stored.batch.items for stored in self.memory.oldest(1 << 62, 1 << 62))
        if lost:
            self._drop(lost, "ended", "the process ended and the disk could not be used")
        for store in self._stores():
            store.database.close()

    def before_fork(self) -> None:
        """Close the files, and keep other threads from opening them."""
        self._held = [store for store in self._stores() if store.database.pause(forks.PAUSE_SECONDS)]

    def after_fork(self, *, in_child: bool) -> None:
        """Let the files be opened again; what is in memory is the parent's."""
        for store in self._held:
            store.database.resume()
        if in_child:
            if self.memory in self._held:
                self.memory.database.close()
            self.memory = Store(None, max_bytes=self._settings.max_memory_bytes)
            if self.disk is not None and self.disk not in self._held:
                self.disk = None
                report("export.fork", "The disk was busy when the process forked; the child keeps telemetry in memory")

    def _stores(self) -> list[Store]:
        return [store for store in (self.disk, self.memory) if store is not None]

    def _disk(self, endpoint: Endpoint) -> Store | None:
        if self._settings.directory is None:
            report("export.memory_only", "There is no directory for the spool; telemetry waits in memory only")
            return None
        directory = self._settings.directory / _as_name(self._settings.service)
        try:
            private_directory(directory)
        except OSError as error:
            message = "The spool cannot be in %s: %s; telemetry waits in memory only"
            report("export.memory_only", message, directory, error.strerror or type(error).__name__)
            return None
        path = directory / f"{self._signal.name}-{endpoint.key}.sqlite3"
        return Store(path, max_bytes=self._settings.max_bytes, fsync=self._settings.fsync)

    def _written(self, batch: Batch, dropped: int) -> bool:
        COUNTERS.add("spooled", self._signal.name, batch.items)
        if dropped:
            self._drop(dropped, "spool_full", f"the spool may have {self._settings.max_bytes} bytes, and the oldest go")
        return True

    def _remember(self, batch: Batch) -> bool:
        if len(batch.payload) > self._settings.max_memory_bytes:
            self._drop(batch.items, "too_large", "one request is larger than everything that may wait")
            return False
        try:
            dropped = self.memory.append(batch)
        except StoreError as error:
            self._drop(batch.items, "memory_full", str(error))
            return False
        if dropped:
            limit = self._settings.max_memory_bytes
            self._drop(dropped, "memory_full", f"the disk cannot be used, and memory may have {limit} bytes")
        return False

    def _drop(self, items: int, reason: Reason, why: str) -> None:
        COUNTERS.add("dropped", self._signal.name, items, reason=reason)
        report(f"export.{reason}.{self._signal.name}", "%d %s are dropped; %s", items, self._signal.items, why)


def _waits(store: Store, last: int) -> bool:
    first = store.first()
    return first is not None and first <= last


def _as_name(service: str) -> Path:
    """
    Return the directory's name for *service*, which may be any text.

    >>> str(_as_name("shop/orders")), str(_as_name(".."))
    ('shop%2Forders', '%2E.')
    """
    name = quote(service, safe=" ")[:_LONGEST_NAME] or "unknown_service"
    return Path(f"%2E{name[1:]}" if name.startswith(".") else name)
