"""
The spool's tables: one row for each batch, and one row of totals that triggers keep.

The totals make a bound cost the same with one batch as with a million.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

VERSION: Final = 1

# AUTOINCREMENT: an id is never used twice, so "all up to this id" keeps its meaning when rows are gone. It starts
# anywhere: then what was read of a damaged file is not taken for what is in the new one.
_TABLES: Final = """
CREATE TABLE batches (
    id INTEGER PRIMARY KEY AUTOINCREMENT, created REAL NOT NULL, items INTEGER NOT NULL, size INTEGER NOT NULL,
    payload BLOB NOT NULL
);
CREATE TABLE totals (id INTEGER PRIMARY KEY CHECK (id = 1), size INTEGER NOT NULL, failing INTEGER NOT NULL);
INSERT INTO totals VALUES (1, 0, 0);
INSERT INTO sqlite_sequence VALUES ('batches', random() & 0x0fffffffffffffff);
CREATE TRIGGER batch_added AFTER INSERT ON batches BEGIN UPDATE totals SET size = size + NEW.size; END;
CREATE TRIGGER batch_removed AFTER DELETE ON batches BEGIN UPDATE totals SET size = size - OLD.size; END;
"""

_LOCKED_MILLISECONDS: Final = 5_000
_WAL_BYTES: Final = 4 * 1024 * 1024
# SQLite's own default: after so many, whoever writes copies them to the file itself.
_WAL_PAGES: Final = 1_000
# https://www.sqlite.org/pragma.html#pragma_synchronous
_OFF, _NORMAL, _FULL = range(3)


def connect(path: Path | None, *, fsync: bool) -> sqlite3.Connection:
    """
    Open the spool in the file *path*, which may be empty; None is one in memory.

    Raises:
        sqlite3.DatabaseError: the file is damaged (the class itself), or cannot be used (a subclass).
    """
    connection = sqlite3.connect(
        path or ":memory:", timeout=_LOCKED_MILLISECONDS / 1000, isolation_level=None, check_same_thread=False
    )
    try:
        _prepare(connection, fsync=fsync)
    except BaseException:
        connection.close()
        raise
    return connection


@contextmanager
def impatient(connection: sqlite3.Connection, *, fsync: bool) -> Iterator[None]:
    """
    Within the block, wait for no lock of another process and for no disk.

    What is written survives the death of the process all the same, and that of the machine from the next write on.
    """
    _set(connection, busy_timeout=0, wal_autocheckpoint=0, synchronous=_OFF)
    try:
        yield
    finally:
        _set_patient(connection, fsync=fsync)


def _set_patient(connection: sqlite3.Connection, *, fsync: bool) -> None:
    # In WAL mode, NORMAL survives the death of every process, and FULL that of the machine as well.
    synchronous = _FULL if fsync else _NORMAL
    _set(connection, busy_timeout=_LOCKED_MILLISECONDS, wal_autocheckpoint=_WAL_PAGES, synchronous=synchronous)


def _set(connection: sqlite3.Connection, **pragmas: int) -> None:
    for name, value in pragmas.items():
        connection.execute(f"PRAGMA {name} = {value}").close()


def _prepare(connection: sqlite3.Connection, *, fsync: bool) -> None:
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    connection.execute("PRAGMA journal_mode = WAL")
    _set_patient(connection, fsync=fsync)
    # Some builds overwrite what is deleted, page by page, for which a batch would cost twice as much.
    _set(connection, journal_size_limit=_WAL_BYTES, secure_delete=_OFF)
    if _version(connection) == 0:
        # Of several processes that start at once, one makes the tables.
        connection.execute("BEGIN IMMEDIATE")
        if _version(connection) == 0:
            for statement in _statements():
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")
    if _version(connection) != VERSION:
        # A subclass, because it is not damaged: it stays as it is, for who understands it.
        message = "it is of another version of otelctx"
        raise sqlite3.NotSupportedError(message)


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
