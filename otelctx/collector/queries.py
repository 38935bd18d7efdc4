"""
Queries for records: spans, logs, metric points and services by filter.

Answers are oldest first. With ``since`` they are the first that follow it, so that a reader can go on from the last one
it saw; without it they are the latest there are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from otelctx.collector.records import LOG_COLUMNS, METRIC_COLUMNS, SPAN_COLUMNS, log_json, metric_json, span_json

if TYPE_CHECKING:
    from collections.abc import Callable
    from sqlite3 import Connection, Row

    from otelctx.collector.parameters import Filter
    from otelctx.collector.values import JsonValue


def spans(connection: Connection, wanted: Filter) -> list[dict[str, JsonValue]]:
    """Find spans by their start."""
    return select(connection, SPAN_COLUMNS, "start", wanted, span_json)


def logs(connection: Connection, wanted: Filter) -> list[dict[str, JsonValue]]:
    """Find log records by their time, or their observed time where they have none."""
    return select(connection, LOG_COLUMNS, "at", wanted, log_json)


def metrics(connection: Connection, wanted: Filter) -> list[dict[str, JsonValue]]:
    """Find metric points by their time."""
    return select(connection, METRIC_COLUMNS, "time", wanted, metric_json)


def services(connection: Connection) -> list[str]:
    """Name the services that sent something, in alphabetical order."""
    return [row[0] for row in connection.execute("SELECT DISTINCT service FROM resources ORDER BY service")]


def select(
    connection: Connection, columns: str, time: str, wanted: Filter, show: Callable[[Row], dict[str, JsonValue]]
) -> list[dict[str, JsonValue]]:
    """Run one query over the rows of *columns*, ordered by the column *time*."""
    conditions, values = where(wanted, time)
    direction = "ASC" if wanted.since is not None else "DESC"
    query = f"SELECT {columns} WHERE {conditions} ORDER BY r.{time} {direction}, r.id {direction} LIMIT ?"
    rows = connection.execute(query, (*values, wanted.limit)).fetchall()
    return [show(row) for row in (rows if direction == "ASC" else reversed(rows))]


def where(wanted: Filter, time: str) -> tuple[str, list[object]]:
    """Write the conditions of *wanted*, and give the values to bind."""
    columns = {
        "r.request_id = ?": wanted.request_id,
        "r.user_id = ?": wanted.user_id,
        "r.trace_id = ?": wanted.trace_id,
        "r.service = ?": wanted.service,
        "r.name = ?": wanted.name,
        f"r.{time} >= ?": wanted.since,
        f"r.{time} < ?": wanted.until,
    }
    given = {condition: value for condition, value in columns.items() if value is not None}
    return " AND ".join(given) or "TRUE", list(given.values())
