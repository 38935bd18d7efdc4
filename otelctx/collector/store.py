"""
The store: one SQLite file, one writer thread, many batches per commit.

A batch's future is done only after the transaction that holds it is committed, or with the reason why it is not.
"""

from __future__ import annotations

import fcntl
import os
import queue
import sqlite3
import tempfile
import threading
import time
from concurrent.futures import Future
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from otelctx.collector.config import MEMORY
from otelctx.collector.refusal import BUSY, STORE_FAILED, RefusedError
from otelctx.collector.retention import Retention
from otelctx.collector.schema import open_for_writing
from otelctx.collector.writing import write
from otelctx.errors import CollectorError

if TYPE_CHECKING:
    from collections.abc import Callable

    from otelctx.collector.batch import Batch
    from otelctx.collector.config import CollectorConfig
    from otelctx.collector.counters import Counters

QUEUE_LENGTH = 1_024
BYTES_PER_COMMIT = 8 * 1024 * 1024
# sqlite3 raises the last two for values that a column cannot hold.
FAILURES = (sqlite3.Error, OverflowError, ValueError)
SECONDS_BETWEEN_IDLE_RETENTION = 10.0


class Job(NamedTuple):
    """A batch to store, or None to prove that something can be stored, and who waits for it."""

    batch: Batch | None
    done: Future[bool]


class Store:
    """
    The open store.

    :meth:`submit` and :meth:`probe` are called on any thread; everything that writes runs in the writer's.
    """

    def __init__(self, config: CollectorConfig, counters: Counters, clock: Callable[[], int] = time.time_ns) -> None:
        """
        Open or make the store and start its writer.

        Raises:
            CollectorError: when it cannot be used, see :func:`~otelctx.collector.schema.open_for_writing`.
        """
        self._counters = counters
        self._clock = clock
        self._jobs: queue.Queue[Job | None] = queue.Queue(QUEUE_LENGTH)
        self._closing = ExitStack()
        with ExitStack() as undo:
            self.path = store_path(config.store, undo)
            undo.callback(os.close, lock(self.path))
            self._connection = open_for_writing(self.path)
            undo.callback(self._connection.close)
            max_age_ns = int(config.max_age_seconds * 1e9)
            self._retention = Retention(self._connection, config.max_store_bytes, max_age_ns, counters)
            try:
                self._retention.prepare(clock())
            except sqlite3.Error as error:
                msg = f"{self.path} cannot be used ({error}); move it away, or name another file with --store"
                raise CollectorError(msg) from error
            self._closing = undo.pop_all()
        self._thread = threading.Thread(target=self._run, name="otelctx-collector-writer", daemon=True)
        self._thread.start()

    def submit(self, batch: Batch) -> Future[bool]:
        """
        Queue *batch*; the future gives whether it was new, once it is committed.

        Raises:
            RefusedError: when the queue is full (503); the future raises it when the store fails.
        """
        return self._put(batch)

    def probe(self) -> Future[bool]:
        """Prove by a commit that the store can take something; raises as :meth:`submit` does."""
        return self._put(None)

    def close(self) -> None:
        """Commit what is queued, stop the writer and close the file; the caller submits nothing more."""
        self._jobs.put(None)
        self._thread.join()
        self._closing.close()

    def _put(self, batch: Batch | None) -> Future[bool]:
        job = Job(batch, Future())
        try:
            self._jobs.put_nowait(job)
        except queue.Full:
            raise RefusedError(BUSY, "The store's queue is full; try again in a second") from None
        return job.done

    def _run(self) -> None:
        """Commit group after group until there is no more."""
        more = True
        while more:
            group, more = self._next_group()
            self._commit(group)
            try:
                self._retention.enforce(self._clock())
            except sqlite3.Error as error:
                self._failed(error)

    def _next_group(self) -> tuple[list[Job], bool]:
        """Wait for a job and take what else is there, up to the bytes of one commit; false at the end of all jobs."""
        group: list[Job] = []
        size = 0
        try:
            job = self._jobs.get(timeout=SECONDS_BETWEEN_IDLE_RETENTION)
            while job is not None:
                if job.done.set_running_or_notify_cancel():
                    group.append(job)
                    size += job.batch.size if job.batch else 0
                if size >= BYTES_PER_COMMIT:
                    return group, True
                job = self._jobs.get_nowait()
        except queue.Empty:
            return group, True
        return group, False

    def _commit(self, group: list[Job]) -> None:
        """Store all of *group* in one transaction, or if that fails each for itself."""
        try:
            results = self._transaction(group)
        except FAILURES:
            for job in group:
                self._commit_alone(job)
            return
        for job, result in zip(group, results, strict=True):
            job.done.set_result(result)

    def _commit_alone(self, job: Job) -> None:
        """Store one job, making room first where the store is full, and tell its sender if that fails."""
        for attempt in range(2):
            try:
                result = self._transaction([job])[0]
            except FAILURES as error:
                if attempt == 0 and "full" in str(error) and self._make_room():
                    continue
                self._failed(error)
                job.done.set_exception(RefusedError(STORE_FAILED, f"The store failed ({error}); try again later"))
            else:
                job.done.set_result(result)
            return

    def _transaction(self, group: list[Job]) -> list[bool]:
        if not group:
            return []
        now = self._clock()
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            results = [self._write(job.batch, now) for job in group]
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise
        return results

    def _write(self, batch: Batch | None, now: int) -> bool:
        if batch is not None:
            return write(self._connection, batch, now)
        self._connection.execute("INSERT OR REPLACE INTO probe VALUES (1, ?)", (now,))
        return True

    def _make_room(self) -> bool:
        try:
            self._retention.make_room(0.5)
        except sqlite3.Error as error:
            self._failed(error)
            return False
        return True

    def _failed(self, error: Exception) -> None:
        self._counters.add("store", "failures")
        self._counters.warn("store_failed", f"The store {self.path} failed ({error}); is the disk full?")


def store_path(store: Path | str, undo: ExitStack) -> Path:
    """Give the store's file; for ``:memory:`` one in a temporary directory that *undo* removes."""
    if str(store) == MEMORY:
        directory = undo.enter_context(tempfile.TemporaryDirectory(prefix="otelctx-collector-"))
        return Path(directory) / "collector.sqlite3"
    return Path(store).expanduser().absolute()


def lock(path: Path) -> int:
    """
    Take the lock beside the store, which ends with the process however it ends.

    Raises:
        CollectorError: when another collector holds it, or the directory cannot be written.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        msg = f"Cannot write the store {path}: {error.strerror}; name another file with --store"
        raise CollectorError(msg) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        msg = f"The store {path} is in use by another collector; use that one, stop it, or name another with --store"
        raise CollectorError(msg) from error
    return descriptor
