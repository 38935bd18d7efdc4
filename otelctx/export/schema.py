"""
The spool's tables: one row for each batch, and one row of totals that triggers keep.

The totals make a bound cost the same with one batch as with a million.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

VERSION: Final = 1

# AUTOINCREMENT: an id is never used twice, so "all up to this id" keeps its meaning when rows are gone.
_TABLES: Final = """
CREATE TABLE batches (
    id INTEGER PRIMARY KEY AUTOINCREMENT, created REAL NOT NULL, items INTEGER NOT NULL, size INTEGER NOT NULL,
    payload BLOB NOT NULL
);
CREATE TABLE totals (id INTEGER PRIMARY KEY CHECK (id = 1), size INTEGER NOT NULL, failing INTEGER NOT NULL);
INSERT INTO totals VALUES (1, 0, 0);
CREATE TRIGGER batch_added AFTER INSERT ON batches BEGIN UPDATE totals SET size = size + NEW.size; END;
CREATE TRIGGER batch_removed AFTER DELETE ON batches BEGIN UPDATE totals SET size = size - OLD.size; END;
"""

_LOCKED_SECONDS: Final = 5.0
_WAL_BYTES: Final = 4 * 1024 * 1024


def connect(path: Path | None, *, fsync: bool) -> sqlite3.Connection:
    """
    Open the spool in the file *path*, which may be empty; None is one in memory.

    Raises:
        sqlite3.DatabaseError: the file is damaged (the class itself), or cannot be used (a subclass).
    """
    connection = sqlite3.connect(
        path or ":memory:", timeout=_LOCKED_SECONDS, isolation_level=None, check_same_thread=False
    )
    try:
        _prepare(connection, fsync=fsync)
    except BaseException:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection, *, fsync: bool) -> None:
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    connection.execute("PRAGMA journal_mode = WAL")
    # In WAL mode, NORMAL survives the death of every process, and FULL that of the machine as well.
    connection.execute(f"PRAGMA synchronous = {'FULL' if fsync else 'NORMAL'}")
    connection.execute(f"PRAGMA journal_size_limit = {_WAL_BYTES}")
    if _version(connection) == 0:
        # Of several processes that start at once, one makes the tables.
        connection.execute("BEGIN IMMEDIATE")
        if _version(connection) == 0:
            for statement in _statements():
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")
    if _version(connection) != VERSION:
        message = "the spool is of another version"
        raise sqlite3.DatabaseError(message)


def _version(connection: sqlite3.Connection) -> int:
    with closing(connection.execute("PRAGMA user_version")) as cursor:
        return int(cursor.fetchone()[0])


def _statements() -> list[str]:
    # A trigger has a semicolon inside; each statement starts its own line with CREATE or INSERT.
    statements: list[str] = []
    for line in _TABLES.strip().splitlines():
        if line.startswith(("CREATE", "INSERT")):
            statements.append(line)
        else:
            statements[-1] += line
    return statements
