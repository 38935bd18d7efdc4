"""
Stored rows as the query interface shows them.

The shapes are those of docs/query-api.md; 64-bit integers are decimal strings.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlite3 import Row

    from otelctx.collector.values import JsonValue

KINDS = ("internal", "internal", "server", "client", "producer", "consumer")
STATUS_CODES = ("unset", "ok", "error")

SHOWN = "r.*, resources.attributes AS resource_attributes"
WITH_RESOURCE = "r LEFT JOIN resources ON resources.id = r.resource"
SPAN_COLUMNS = f"{SHOWN} FROM spans {WITH_RESOURCE}"
LOG_COLUMNS = f"{SHOWN} FROM logs {WITH_RESOURCE}"
METRIC_COLUMNS = f"{SHOWN} FROM metrics {WITH_RESOURCE}"


def span_json(row: Row) -> dict[str, JsonValue]:
    """Show a row of SPAN_COLUMNS as a span."""
    return {
        "trace_id": row["trace_id"].hex(),
        "span_id": row["span_id"].hex(),
        "parent_span_id": hex_or_none(row["parent_span_id"]),
        "name": row["name"],
        "kind": named(KINDS, row["kind"]),
        "service": row["service"],
        "scope": row["scope"],
        "start_unix_nano": str(row["start"]),
        "end_unix_nano": str(row["end"]),
        "status": {"code": named(STATUS_CODES, row["status_code"]), "message": row["status_message"]},
        "request_id": row["request_id"],
        "user_id": row["user_id"],
        "attributes": json.loads(row["attributes"]),
        "events": json.loads(row["events"]),
        "links": json.loads(row["links"]),
        "resource": resource_of(row),
    }


def log_json(row: Row) -> dict[str, JsonValue]:
    """Show a row of LOG_COLUMNS as a log record."""
    return {
        "time_unix_nano": str(row["time"]),
        "observed_time_unix_nano": str(row["observed_time"]),
        "severity_number": row["severity_number"],
        "severity_text": row["severity_text"],
        "body": json.loads(row["body"]),
        "event_name": row["event_name"],
        "service": row["service"],
        "scope": row["scope"],
        "trace_id": hex_or_none(row["trace_id"]),
        "span_id": hex_or_none(row["span_id"]),
        "request_id": row["request_id"],
        "user_id": row["user_id"],
        "attributes": json.loads(row["attributes"]),
        "resource": resource_of(row),
    }


def metric_json(row: Row) -> dict[str, JsonValue]:
    """Show a row of METRIC_COLUMNS as a metric point."""
    return {
        "name": row["name"],
        "unit": row["unit"],
        "type": row["type"],
        "service": row["service"],
        "time_unix_nano": str(row["time"]),
        "attributes": json.loads(row["attributes"]),
        "value": json.loads(row["value"]),
        "count": row["count"],
        "sum": loaded(row["sum"]),
        "bounds": loaded(row["bounds"]),
        "bucket_counts": loaded(row["bucket_counts"]),
        "resource": resource_of(row),
    }


def resource_of(row: Row) -> JsonValue:
    """Show the resource's attributes; empty if they are gone."""
    return loaded(row["resource_attributes"]) or {}


def loaded(text: str | None) -> JsonValue:
    """Read a JSON column that may be absent."""
    if text is None:
        return None
    value: JsonValue = json.loads(text)
    return value


def hex_or_none(value: bytes | None) -> str | None:
    """Show an id as lower-case hex."""
    return None if value is None else value.hex()


def named(names: tuple[str, ...], number: int) -> str:
    """Name an enum's value; one that OTLP did not know yet counts as the first."""
    return names[number] if 0 <= number < len(names) else names[0]
