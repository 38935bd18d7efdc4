"""
Retention: the oldest arrivals go when the store is too large or they are too old.

Freed pages are used again before the file grows, and SQLite itself refuses to let it grow past its bound.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3

    from otelctx.collector.counters import Counters

TABLES = ("spans", "logs", "metrics")
# One step drops a twentieth of a table, so that large rows go one by one and small ones quickly.
STEPS = 20
ROWS_AT_A_TIME = 2_000
# Room for what is written between two looks at the size.
KEEP_FREE = 0.10
# How long the digest of a batch is remembered; exporters give up on a batch long before.
BATCH_MEMORY_NS = 3_600 * 10**9


class Retention:
    """The bounds of one store; every method runs in the writer's thread."""

    def __init__(self, connection: sqlite3.Connection, max_bytes: int, max_age_ns: int, counters: Counters) -> None:
        """Bound the store of *connection* to *max_bytes* and its records to *max_age_ns* since they arrived."""
        self._connection = connection
        self._max_age_ns = max_age_ns
        self._counters = counters
        page_size = self._pragma("page_size")
        self._max_pages = max_bytes // page_size
        self._target_pages = int(self._max_pages * (1 - KEEP_FREE))

    def prepare(self, now: int) -> None:
        """Bring the store within its bounds, give the room back to the disk, and set SQLite's own limit."""
        self.enforce(now)
        if self._pragma("page_count") > self._max_pages:
            # As a script: execute() takes one step of a statement without rows, and each step frees one page.
            self._connection.executescript("PRAGMA incremental_vacuum")
        self._connection.execute(f"PRAGMA max_page_count = {self._max_pages}").fetchone()

    def enforce(self, now: int) -> None:
        """Drop what is too old at *now* (nanoseconds since the epoch), then the oldest while the store is too large."""
        while (oldest := self._oldest()) is not None:
            received, table, first, last = oldest
            if received <= now - self._max_age_ns:
                self._drop(table, first, last, "age", f"AND received <= {now - self._max_age_ns}")
            elif self.used_pages() > self._target_pages:
                self._drop(table, first, last, "size")
            else:
                break
        self._connection.execute("DELETE FROM batches WHERE received < ?", (now - BATCH_MEMORY_NS,))

    def make_room(self, share: float) -> None:
        """Drop the oldest until *share* of the bound is free, after SQLite found the store full."""
        while self.used_pages() > self._max_pages * (1 - share) and (oldest := self._oldest()) is not None:
            self._drop(*oldest[1:], "size")

    def used_pages(self) -> int:
        """Count the pages that hold something."""
        return self._pragma("page_count") - self._pragma("freelist_count")

    def _pragma(self, name: str) -> int:
        return int(self._connection.execute(f"PRAGMA {name}").fetchone()[0])

    def _oldest(self) -> tuple[int, str, int, int] | None:
        """Find the oldest arrival: its time, table and id, and the last id of that table."""
        heads: list[tuple[int, str, int, int]] = []
        for table in TABLES:
            query = f"SELECT received, id, (SELECT max(id) FROM {table}) FROM {table} ORDER BY id LIMIT 1"  # noqa: S608
            row = self._connection.execute(query).fetchone()
            if row is not None:
                heads.append((row[0], table, row[1], row[2]))
        return min(heads, default=None)

    def _drop(self, table: str, first: int, last: int, reason: str, condition: str = "") -> None:
        """Delete a run of the oldest rows of *table*, and what nothing refers to any more."""
        rows = min(ROWS_AT_A_TIME, 1 + (last - first) // STEPS)
        where = f"id < {first + rows} {condition}"
        execute = self._connection.execute
        execute("BEGIN IMMEDIATE")
        try:
            stories: list[tuple[str | None, str | None]] = []
            if table != "metrics":
                columns = "SELECT DISTINCT request_id, lower(hex(trace_id))"
                stories = execute(f"{columns} FROM {table} WHERE {where}").fetchall()
            dropped = execute(f"DELETE FROM {table} WHERE {where}").rowcount  # noqa: S608 -- numbers and a known name
            self._forget(stories)
            oldest = self._oldest()
            if oldest is not None:
                execute("DELETE FROM resources WHERE last_used < ?", (oldest[0],))
            execute("COMMIT")
        except BaseException:
            # SQLite has rolled back itself after some errors, a full disk for one; the first error is the one to tell.
            if self._connection.in_transaction:
                execute("ROLLBACK")
            raise
        self._counters.add("dropped_by_retention", f"{table}_by_{reason}", dropped)

    def _forget(self, stories: list[tuple[str | None, str | None]]) -> None:
        """Delete those of *stories* (request id, trace id in hex) that have no record left."""
        requests = json.dumps(sorted({request for request, _ in stories if request is not None}))
        traces = json.dumps(sorted({trace for request, trace in stories if request is None and trace}))
        gone = [
            *self._connection.execute(
                "SELECT 'r:' || value FROM json_each(?) WHERE NOT EXISTS (SELECT 1 FROM spans WHERE request_id = value)"
                " AND NOT EXISTS (SELECT 1 FROM logs WHERE request_id = value)",
                (requests,),
            ),
            *self._connection.execute(
                "SELECT 't:' || value FROM json_each(?) WHERE"
                " NOT EXISTS (SELECT 1 FROM spans WHERE trace_id = unhex_id(value) AND request_id IS NULL)"
                " AND NOT EXISTS (SELECT 1 FROM logs WHERE trace_id = unhex_id(value) AND request_id IS NULL)",
                (traces,),
            ),
        ]
        self._connection.executemany("DELETE FROM stories WHERE story = ?", gone)
        self._connection.executemany("DELETE FROM facts WHERE story = ?", gone)
