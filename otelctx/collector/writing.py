"""
Writing a batch: the SQL that stores one batch inside a transaction that somebody else opened.

A batch that was stored within the last hour is recognised by its bytes and not stored twice, as a sender tries again
when an answer got lost.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from otelctx.collector import flatten_logs, flatten_metrics, flatten_spans

if TYPE_CHECKING:
    import sqlite3

    from otelctx.collector.batch import Batch, Group


def insert_into(table: str, columns: tuple[str, ...]) -> str:
    """Write the INSERT statement of *table*, its resource and arrival last."""
    names = (*columns, "resource", "received")
    quoted = ", ".join(f'"{name}"' for name in names)
    return f"INSERT INTO {table} ({quoted}) VALUES ({', '.join('?' * len(names))})"  # noqa: S608 -- names of our own


INSERTS = {
    "traces": insert_into("spans", flatten_spans.COLUMNS),
    "logs": insert_into("logs", flatten_logs.COLUMNS),
    "metrics": insert_into("metrics", flatten_metrics.COLUMNS),
}


def write(connection: sqlite3.Connection, batch: Batch, now: int) -> bool:
    """
    Store *batch* as arrived at *now* (nanoseconds since the epoch).

    Returns:
        False if the same batch is already there.
    """
    seen = connection.execute("INSERT OR IGNORE INTO batches VALUES (?, ?)", (batch.digest, now))
    if seen.rowcount == 0:
        return False
    statement = INSERTS[batch.signal]
    for group in batch.groups:
        tail = (resource_id(connection, group, now), now)
        connection.executemany(statement, ((*row, *tail) for row in group.rows))
    connection.executemany(
        "INSERT INTO stories VALUES (?, ?, ?) ON CONFLICT (story) DO UPDATE"
        ' SET start = min(start, excluded.start), "end" = max("end", excluded."end")',
        ((story, start, end) for story, (start, end) in batch.extents.items()),
    )
    connection.executemany("INSERT OR IGNORE INTO facts VALUES (?, ?, ?)", batch.facts)
    return True


def resource_id(connection: sqlite3.Connection, group: Group, now: int) -> int:
    """Find or make the row of the group's resource, and mark it as used."""
    connection.execute(
        "INSERT INTO resources (service, attributes, last_used) VALUES (?, ?, ?)"
        " ON CONFLICT (attributes) DO UPDATE SET last_used = excluded.last_used",
        (group.service, group.resource, now),
    )
    row = connection.execute("SELECT id FROM resources WHERE attributes = ?", (group.resource,)).fetchone()
    return int(row[0])
