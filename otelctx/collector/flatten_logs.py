"""
Log records as rows.

Every log record is stored; trace and span ids that are not valid count as absent, as OTLP asks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from otelctx.collector.batch import Batch, Row, empty_batch, ids_of, valid_id
from otelctx.collector.values import encode, mapping, moment, plain

if TYPE_CHECKING:
    from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
    from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

COLUMNS = (
    "at", "time", "observed_time", "severity_number", "severity_text", "body", "event_name", "service", "scope",
    "trace_id", "span_id", "request_id", "user_id", "attributes",
)  # fmt: skip


def flatten_logs(request: ExportLogsServiceRequest, body: bytes) -> Batch:
    """Make the batch of an export request; *body* is what was received."""
    batch = empty_batch("logs", body)
    for resource_logs in request.resource_logs:
        if not any(len(scope_logs.log_records) for scope_logs in resource_logs.scope_logs):
            continue
        group = batch.group_for(resource_logs.resource)
        for scope_logs in resource_logs.scope_logs:
            scope = scope_logs.scope.name
            for record in scope_logs.log_records:
                batch.add(group, log_row(record, group.service, scope, batch))
    return batch


def log_row(record: LogRecord, service: str, scope: str, batch: Batch) -> Row:
    """Make one row in the order of COLUMNS and note its story."""
    attributes = mapping(record.attributes)
    trace_id, span_id = valid_id(record.trace_id, 16), valid_id(record.span_id, 8)
    ids = ids_of(trace_id, attributes)
    time, observed = moment(record.time_unix_nano), moment(record.observed_time_unix_nano)
    # OTLP: a time of 0 is unknown, then the observed time is the best guess.
    at = time or observed
    batch.note(ids, service, at, at)
    return (
        at, time, observed, record.severity_number, record.severity_text, encode(plain(record.body)),
        record.event_name or None, service, scope, trace_id, span_id, ids.request_id, ids.user_id, encode(attributes),
    )  # fmt: skip
