"""
Stories: one request over all services, whole or as a summary.

A story is every record that carries its request id, and every record of their traces that carries no other. A trace in
which no record names a request is a story of its own, with a request id of null.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from otelctx.collector.records import LOG_COLUMNS, SPAN_COLUMNS, log_json, span_json

if TYPE_CHECKING:
    from sqlite3 import Connection, Row

    from otelctx.collector.parameters import Filter
    from otelctx.collector.values import JsonValue

# A bound on what one answer holds; a request of more records is shown up to here.
MAX_RECORDS = 20_000

# What both forms of a story are made from: a span's status 2 is an error, a log's severity from 17 on (ERROR, FATAL).
SPAN_FACTS = 'r.start AS "from", r."end" AS "to", r.status_code = 2 AS error'
LOG_FACTS = 'r.at AS "from", r.at AS "to", r.severity_number >= 17 AS error'
WHOLE_SPAN = f"{SPAN_FACTS}, {SPAN_COLUMNS}"
WHOLE_LOG = f"{LOG_FACTS}, {LOG_COLUMNS}"
SPAN_IN_SHORT = f"{SPAN_FACTS}, r.trace_id, r.span_id, r.parent_span_id, r.name, r.service, r.user_id FROM spans r"
LOG_IN_SHORT = f"{LOG_FACTS}, r.trace_id, r.service, r.user_id FROM logs r"

# Stories that have a fact, and the requests whose traces have it in a record without a request id.
WITH_FACT = """story IN (
    SELECT story FROM facts WHERE kind = ? AND value = ?
    UNION
    SELECT request.story FROM facts plain JOIN facts request ON request.kind = 'trace'
    AND request.value = substr(plain.story, 3) AND request.story >= 'r:' AND request.story < 'r;'
    WHERE plain.kind = ? AND plain.value = ? AND plain.story >= 't:' AND plain.story < 't;'
)"""
# A trace is a story of its own only while no request has it.
NOT_COVERED = """NOT EXISTS (
    SELECT 1 FROM facts WHERE kind = 'trace' AND value = substr(stories.story, 3) AND story >= 'r:' AND story < 'r;'
)"""


class Parts(NamedTuple):
    """The rows of one story, each oldest first."""

    request_id: str | None
    spans: list[Row]
    logs: list[Row]


def find_story(connection: Connection, wanted: Filter) -> dict[str, JsonValue] | None:
    """
    Tell the story that *wanted* matches with all its records, or None.

    Of several the newest request is meant, and only where no request matches the newest trace without one.
    """
    if wanted.request_id is not None:
        key = f"r:{wanted.request_id}"
    elif wanted.trace_id is not None:
        key = story_of_trace(connection, wanted.trace_id.hex())
    else:
        found = keys(connection, wanted, "r", 1) or keys(connection, wanted, "t", 1)
        if not found:
            return None
        key = found[0][1]
    parts = collect(connection, key, WHOLE_SPAN, WHOLE_LOG)
    if not parts.spans and not parts.logs:
        return None
    spans: list[JsonValue] = [span_json(row) for row in parts.spans]
    logs: list[JsonValue] = [log_json(row) for row in parts.logs]
    return {**outline(parts), "spans": spans, "logs": logs}


def summaries(connection: Connection, wanted: Filter) -> list[dict[str, JsonValue]]:
    """Sum up the stories that *wanted* matches, newest first; ``since`` and ``until`` bound their start."""
    found = keys(connection, wanted, "r", wanted.limit)
    if wanted.request_id is None:
        # With enough requests only newer traces can be among the newest, so the search ends early.
        floor = found[-1][0] if len(found) == wanted.limit else 0
        newer = replace(wanted, since=max(wanted.since or 0, floor))
        found += keys(connection, newer, "t", wanted.limit)
    result: list[dict[str, JsonValue]] = []
    for _, key in sorted(found, reverse=True)[: wanted.limit]:
        parts = collect(connection, key, SPAN_IN_SHORT, LOG_IN_SHORT)
        if parts.spans or parts.logs:
            counts: dict[str, JsonValue] = {"spans": len(parts.spans), "logs": len(parts.logs)}
            result.append({**outline(parts), "name": name_of(parts.spans), **counts})
    return result


def keys(connection: Connection, wanted: Filter, kind: str, limit: int) -> list[tuple[int, str]]:
    """Find the start and key of the newest stories of one kind, ``r`` (requests) or ``t`` (traces without one)."""
    conditions, values = ["story >= ? AND story < ?"], [f"{kind}:", f"{kind};"]
    if kind == "t":
        conditions.append(NOT_COVERED)
    if wanted.request_id is not None:
        conditions.append("story = ?")
        values.append(f"r:{wanted.request_id}")
    trace = None if wanted.trace_id is None else wanted.trace_id.hex()
    for fact, value in (("trace", trace), ("user", wanted.user_id), ("service", wanted.service)):
        if value is not None:
            conditions.append(WITH_FACT)
            values += [fact, value, fact, value]
    bounds = [bound for bound in (wanted.since, wanted.until) if bound is not None]
    conditions += ["start >= ?"] * (wanted.since is not None) + ["start < ?"] * (wanted.until is not None)
    query = f"SELECT start, story FROM stories WHERE {' AND '.join(conditions)} ORDER BY start DESC, story DESC LIMIT ?"  # noqa: S608 -- constants; values are bound
    return [(row[0], row[1]) for row in connection.execute(query, (*values, *bounds, limit))]


def story_of_trace(connection: Connection, trace: str) -> str:
    """Name the story of a *trace* (hex): the earliest request that has it, or the trace itself."""
    row = connection.execute(
        "SELECT story FROM facts JOIN stories USING (story) WHERE kind = 'trace' AND value = ?"
        " AND story >= 'r:' AND story < 'r;' ORDER BY start LIMIT 1",
        (trace,),
    ).fetchone()
    return f"t:{trace}" if row is None else str(row[0])


def collect(connection: Connection, key: str, span_columns: str, log_columns: str) -> Parts:
    """Read the records of one story, with the columns asked for."""
    kind, _, value = key.partition(":")
    if kind == "r":
        found = connection.execute("SELECT value FROM facts WHERE story = ? AND kind = 'trace'", (key,))
        traces = [bytes.fromhex(row[0]) for row in found]
    else:
        traces = [bytes.fromhex(value)]
    request_id = value if kind == "r" else None
    return Parts(
        request_id, *(rows_of(connection, columns, request_id, traces) for columns in (span_columns, log_columns))
    )


def rows_of(connection: Connection, columns: str, request_id: str | None, traces: list[bytes]) -> list[Row]:
    """Read the rows of a request and of its traces, oldest first."""
    rows: list[Row] = []
    if request_id is not None:
        query = f"SELECT {columns} WHERE r.request_id = ? LIMIT {MAX_RECORDS}"
        rows += connection.execute(query, (request_id,)).fetchall()
    query = f"SELECT {columns} WHERE r.trace_id = ? AND r.request_id IS NULL LIMIT ?"
    for trace in traces:
        rows += connection.execute(query, (trace, max(0, MAX_RECORDS - len(rows)))).fetchall()
    return sorted(rows, key=lambda row: int(row["from"]))


def outline(parts: Parts) -> dict[str, JsonValue]:
    """Give what a story and its summary share; names in the order in which they first appear."""
    rows = sorted([*parts.spans, *parts.logs], key=lambda row: int(row["from"]))
    traces: list[JsonValue] = list(dict.fromkeys(row["trace_id"].hex() for row in rows if row["trace_id"] is not None))
    services: list[JsonValue] = list(dict.fromkeys(row["service"] for row in rows))
    return {
        "request_id": parts.request_id,
        "user_id": next((row["user_id"] for row in rows if row["user_id"] is not None), None),
        "trace_ids": traces,
        "services": services,
        "start_unix_nano": str(rows[0]["from"]),
        "end_unix_nano": str(max(int(row["to"]) for row in rows)),
        "error": any(row["error"] for row in rows),
    }


def name_of(spans: list[Row]) -> str | None:
    """Name a story after its first span without a parent, or else the first whose parent is not there."""
    present = {row["span_id"] for row in spans}
    tops = [row for row in spans if row["parent_span_id"] not in present]
    top = min(tops, key=lambda row: (row["parent_span_id"] is not None, row["from"]), default=None)
    return None if top is None else str(top["name"])
