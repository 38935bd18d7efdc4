"""
The store's file: its tables, how it is opened and what makes it ours.

A file that is not ours, damaged or written by a newer version is never changed; the error says what to do.
"""

from __future__ import annotations

import os
import sqlite3
from typing import TYPE_CHECKING

from otelctx.errors import CollectorError

if TYPE_CHECKING:
    from pathlib import Path

SCHEMA_VERSION = 1
APPLICATION_ID = 0x6F637478  # "octx", https://www.sqlite.org/pragma.html#pragma_application_id
CHECK_WHOLE_FILE_UP_TO = 64 * 1024 * 1024

# `received` is the arrival time; rows are stored in arrival order, so the lowest id is the oldest arrival.
# A story is a request ("r:" and its id) or, where no record of a trace names a request, the trace ("t:" and hex).
TABLES = """
CREATE TABLE resources (
    id INTEGER PRIMARY KEY, service TEXT NOT NULL, attributes TEXT NOT NULL UNIQUE, last_used INTEGER NOT NULL
);
CREATE TABLE spans (
    id INTEGER PRIMARY KEY, received INTEGER NOT NULL, resource INTEGER NOT NULL,
    trace_id BLOB NOT NULL, span_id BLOB NOT NULL, parent_span_id BLOB, name TEXT NOT NULL, kind INTEGER NOT NULL,
    service TEXT NOT NULL, scope TEXT NOT NULL, start INTEGER NOT NULL, "end" INTEGER NOT NULL,
    status_code INTEGER NOT NULL, status_message TEXT NOT NULL, request_id TEXT, user_id TEXT,
    attributes TEXT NOT NULL, events TEXT NOT NULL, links TEXT NOT NULL
);
CREATE INDEX spans_trace ON spans (trace_id);
CREATE INDEX spans_request ON spans (request_id) WHERE request_id IS NOT NULL;
CREATE INDEX spans_user ON spans (user_id, start) WHERE user_id IS NOT NULL;
CREATE INDEX spans_service ON spans (service, start);
CREATE INDEX spans_start ON spans (start);
CREATE TABLE logs (
    id INTEGER PRIMARY KEY, received INTEGER NOT NULL, resource INTEGER NOT NULL,
    at INTEGER NOT NULL, time INTEGER NOT NULL, observed_time INTEGER NOT NULL, severity_number INTEGER NOT NULL,
    severity_text TEXT NOT NULL, body TEXT NOT NULL, event_name TEXT, service TEXT NOT NULL, scope TEXT NOT NULL,
    trace_id BLOB, span_id BLOB, request_id TEXT, user_id TEXT, attributes TEXT NOT NULL
);
CREATE INDEX logs_trace ON logs (trace_id) WHERE trace_id IS NOT NULL;
CREATE INDEX logs_request ON logs (request_id) WHERE request_id IS NOT NULL;
CREATE INDEX logs_user ON logs (user_id, at) WHERE user_id IS NOT NULL;
CREATE INDEX logs_service ON logs (service, at);
CREATE INDEX logs_at ON logs (at);
CREATE TABLE metrics (
    id INTEGER PRIMARY KEY, received INTEGER NOT NULL, resource INTEGER NOT NULL,
    name TEXT NOT NULL, unit TEXT NOT NULL, type TEXT NOT NULL, service TEXT NOT NULL, time INTEGER NOT NULL,
    attributes TEXT NOT NULL, value TEXT NOT NULL, count TEXT, sum TEXT, bounds TEXT, bucket_counts TEXT
);
CREATE INDEX metrics_name ON metrics (name, time);
CREATE INDEX metrics_service ON metrics (service, time);
CREATE INDEX metrics_time ON metrics (time);
CREATE TABLE stories (story TEXT PRIMARY KEY, start INTEGER NOT NULL, "end" INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX stories_start ON stories (start);
CREATE TABLE facts (story TEXT, kind TEXT, value TEXT, PRIMARY KEY (story, kind, value)) WITHOUT ROWID;
CREATE INDEX facts_value ON facts (kind, value);
CREATE TABLE batches (digest BLOB PRIMARY KEY, received INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX batches_received ON batches (received);
CREATE TABLE probe (id INTEGER PRIMARY KEY, at INTEGER NOT NULL);
"""


def open_for_writing(path: Path) -> sqlite3.Connection:
    """
    Open the store at *path*, made if it is not there, readable by its owner only.

    Raises:
        CollectorError: when the place cannot be written, or the file is not a sound store of this version.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # SQLite gives the -wal and -shm files the permissions of the database.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        path.chmod(0o600)
    except OSError as error:
        msg = f"Cannot write the store {path}: {error.strerror}; name another file with --store"
        raise CollectorError(msg) from error
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5)
    connection.create_function("unhex_id", 1, bytes.fromhex, deterministic=True)
    try:
        prepare(connection, path)
    except sqlite3.Error as error:
        connection.close()
        msg = f"{path} is damaged or not a database ({error}); move it away, or name another file with --store"
        raise CollectorError(msg) from error
    except CollectorError:
        connection.close()
        raise
    return connection


def prepare(connection: sqlite3.Connection, path: Path) -> None:
    """Check that the open file is ours, and make its tables if it is new."""
    version, application, tables = (
        connection.execute(query).fetchone()[0]
        for query in ("PRAGMA user_version", "PRAGMA application_id", "SELECT count(*) FROM sqlite_master")
    )
    if tables == 0 and version == 0:
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(
            f"BEGIN; {TABLES} PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;"
        )
    elif application != APPLICATION_ID:
        msg = f"{path} is a database of another program; name another file with --store"
        raise CollectorError(msg)
    elif version != SCHEMA_VERSION:
        msg = (
            f"{path} has schema {version} and this otelctx knows {SCHEMA_VERSION}; "
            "use the otelctx that wrote it, move the file away, or name another with --store"
        )
        raise CollectorError(msg)
    else:
        check(connection, path)
    # With WAL, NORMAL loses nothing when the process dies; only a power cut can take the last transactions.
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA temp_store = MEMORY")
    connection.execute("PRAGMA journal_size_limit = 4194304")


def check(connection: sqlite3.Connection, path: Path) -> None:
    """Raise sqlite3.DatabaseError if the file is damaged; a large one is only looked at, not read whole."""
    if path.stat().st_size <= CHECK_WHOLE_FILE_UP_TO:
        result = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if result != "ok":
            raise sqlite3.DatabaseError(str(result).splitlines()[-1])
    for table in ("spans", "logs", "metrics", "stories"):
        connection.execute(f"SELECT * FROM {table} LIMIT 1").fetchone()  # noqa: S608 -- names from the line above


def open_for_reading(path: Path) -> sqlite3.Connection:
    """Open a connection that cannot write and does not block the writer."""
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None, timeout=5)
    connection.row_factory = sqlite3.Row
    return connection
