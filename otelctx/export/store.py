"""
The store: the batches that wait, in one file that the processes of a service share, or in memory where there is none.

A batch that `append` has returned for survives the death of the process. The oldest go when it is full.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

from otelctx.export.batches import Batch
from otelctx.export.database import Database


class Stored(NamedTuple):
    """
    A batch in the store.

    Attributes:
        id: grows with each batch of all processes.
        created: seconds since the epoch.
        batch: what was stored.
    """

    id: int
    created: float
    batch: Batch


# Of one-span batches, as writing through makes them, this many at most make one request.
_ROWS_AT_ONCE: Final = 1_024
# The next batches use them; what is more is given back.
_FREE_PAGES: Final = 2_048


class Store:
    """All methods may be called on any thread, and raise `StoreError` when the disk is full, gone or too slow."""

    def __init__(self, path: Path | None, *, max_bytes: int, fsync: bool = False) -> None:
        """
        Open nothing yet.

        Args:
            path: the file; None keeps the batches in memory.
            max_bytes: the most that the payloads may take together.
            fsync: what was appended survives the death of the machine as well.
        """
        self.database = Database(path, fsync=fsync)
        self._max_bytes = max_bytes

    def append(self, batch: Batch, created: float | None = None) -> int:
        """Store *batch*, *created* at those seconds since the epoch or now, and return how many items made room."""
        return self.database.run(partial(_append, batch, created or time.time(), self._max_bytes))

    def append_at_once(self, batch: Batch) -> int | None:
        """Do the same without any wait, or return None where that is not possible."""
        return self.database.run_at_once(partial(_append, batch, time.time(), self._max_bytes))

    def oldest(self, max_items: int, max_bytes: int) -> list[Stored]:
        """Return the oldest batches, at least one if there is any, of not more than *max_items* and *max_bytes*."""
        return self.database.run(lambda connection: list(_oldest(connection, max_items, max_bytes)))

    def remove(self, first: int, last: int) -> None:
        """Forget the batches from id *first* to *last*, both included."""
        self._execute("DELETE FROM batches WHERE id BETWEEN ? AND ?", first, last)

    def expire(self, before: float) -> int:
        """Forget what was created *before*, in seconds since the epoch, and return how many items that were."""
        return self.database.run(partial(_expire, before))

    def shift(self, seconds: float, now: float) -> None:
        """Follow a clock that was set by *seconds*: each batch stays as old as it was, and none is from after *now*."""
        self._execute("UPDATE batches SET created = min(created + ?, ?)", seconds, now)

    def newest(self) -> float | None:
        """Return when the newest batch was created, in seconds since the epoch, or None when the store is empty."""
        return self.database.run(lambda connection: _value(connection, "SELECT created FROM batches ORDER BY id DESC"))

    def first(self) -> int | None:
        """Return the oldest id, or None when the store is empty."""
        return self._number("SELECT min(id) FROM batches")

    def last(self) -> int:
        """Return the newest id that there ever was; 0 when there was none."""
        return self._number("SELECT max(seq) FROM sqlite_sequence") or 0

    def size(self) -> int:
        """Return the bytes of all payloads."""
        return self._number("SELECT size FROM totals") or 0

    def is_failing(self) -> bool:
        """Tell whether the process that sends has found the collector unable to take anything."""
        return bool(self._number("SELECT failing FROM totals"))

    def set_failing(self, failing: bool) -> None:
        """Say so to the other processes."""
        self._execute("UPDATE totals SET failing = ?", failing)

    def shrink(self) -> None:
        """Give the room of batches that are gone back to the disk, if it is worth the work."""
        self.database.run(_shrink)

    def _execute(self, statement: str, *values: float) -> None:
        self.database.run(lambda connection: connection.execute(statement, values).close())

    def _number(self, statement: str) -> int | None:
        return self.database.run(lambda connection: _value(connection, statement))


def _append(batch: Batch, created: float, max_bytes: int, connection: sqlite3.Connection) -> int:
    size = len(batch.payload)
    with _transaction(connection):
        excess = (_value(connection, "SELECT size FROM totals") or 0) + size - max_bytes
        dropped = _drop_oldest(connection, excess) if excess > 0 else 0
        connection.execute(
            "INSERT INTO batches (created, items, size, payload) VALUES (?, ?, ?, ?)",
            (created, batch.items, size, batch.payload),
        ).close()
    return dropped


def _drop_oldest(connection: sqlite3.Connection, excess: int) -> int:
    dropped, last = 0, 0
    with closing(connection.execute("SELECT id, items, size FROM batches ORDER BY id")) as rows:
        for row, items, size in rows:
            last, dropped, excess = row, dropped + items, excess - size
            if excess <= 0:
                break
    connection.execute("DELETE FROM batches WHERE id <= ?", (last,)).close()
    return dropped


def _oldest(connection: sqlite3.Connection, max_items: int, max_bytes: int) -> Iterator[Stored]:
    items = size = 0
    statement = "SELECT id, created, items, payload FROM batches ORDER BY id LIMIT ?"
    with closing(connection.execute(statement, (_ROWS_AT_ONCE,))) as rows:
        for row in rows:
            stored = Stored(row[0], row[1], Batch(payload=row[3], items=row[2]))
            items += stored.batch.items
            size += len(stored.batch.payload)
            is_first = size == len(stored.batch.payload)
            if not is_first and (items > max_items or size > max_bytes):
                return
            yield stored


def _expire(before: float, connection: sqlite3.Connection) -> int:
    # They are in the order of their ids, so the first that is young enough ends the search.
    expired, last = 0, 0
    with _transaction(connection):
        with closing(connection.execute("SELECT id, created, items FROM batches ORDER BY id")) as rows:
            for row, created, items in rows:
                if created >= before:
                    break
                last, expired = row, expired + items
        connection.execute("DELETE FROM batches WHERE id <= ?", (last,)).close()
    return expired


def _shrink(connection: sqlite3.Connection) -> None:
    if (_value(connection, "PRAGMA freelist_count") or 0) >= _FREE_PAGES:
        # A script, because `execute` takes one step, which is one page.
        connection.executescript("PRAGMA incremental_vacuum").close()


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    # At once for writing: one that reads first would fail, and not wait, when another process writes meanwhile.
    connection.execute("BEGIN IMMEDIATE").close()
    try:
        yield
        connection.execute("COMMIT").close()
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK").close()
        raise


def _value(connection: sqlite3.Connection, statement: str, *values: float) -> int | None:
    with closing(connection.execute(statement, values)) as rows:
        found = rows.fetchone()
    return None if found is None else found[0]
