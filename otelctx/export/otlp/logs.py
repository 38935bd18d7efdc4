"""
Log records as the bytes of an ExportLogsServiceRequest.

Field numbers are those of opentelemetry/proto/logs/v1/logs.proto.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from opentelemetry._logs import SeverityNumber
from opentelemetry.sdk._logs import ReadableLogRecord

from otelctx.export.otlp.attributes import AttributeEncoder, snapshot
from otelctx.export.otlp.grouping import Refused, encode_each, report_refused
from otelctx.export.otlp.values import any_value
from otelctx.export.otlp.wire import (
    FIXED32,
    FIXED64,
    LENGTH,
    VARINT,
    fixed32,
    fixed64,
    tag,
    text_field,
    uint32_field,
    varint,
)
from otelctx.native import compiled

_TIME: Final = tag(1, FIXED64)
_SEVERITY_NUMBER: Final = tag(2, VARINT)
_SEVERITY_TEXT: Final = tag(3, LENGTH)
_BODY: Final = tag(5, LENGTH)
_ATTRIBUTES: Final = 6
_DROPPED_ATTRIBUTES: Final = tag(7, VARINT)
_FLAGS: Final = tag(8, FIXED32)
_TRACE_ID: Final = tag(9, LENGTH) + varint(16)
_SPAN_ID: Final = tag(10, LENGTH) + varint(8)
_OBSERVED_TIME: Final = tag(11, FIXED64)
_EVENT_NAME: Final = tag(12, LENGTH)
# The ids of members are quicker to look up than they are, whose hash is a call.
SEVERITIES: Final = {id(severity): uint32_field(_SEVERITY_NUMBER, severity.value) for severity in SeverityNumber}


def encode_logs(records: Sequence[ReadableLogRecord], refused: Refused = report_refused) -> bytes:
    """
    Return the serialised ExportLogsServiceRequest of *records*.

    Args:
        records: what the SDK hands to an exporter.
        refused: told of each record that cannot be encoded and is left out.
    """
    return encode_each(records, LogEncoder(), refused)


@compiled
class LogEncoder:
    """Encodes the log records of one batch."""

    __slots__ = ("_attributes", "_severity_texts")

    def __init__(self) -> None:
        """Begin with nothing known."""
        self._attributes = AttributeEncoder(_ATTRIBUTES)
        self._severity_texts: dict[str | None, bytes] = {}

    def encode(self, readable: ReadableLogRecord) -> bytes:
        """Return the body of a LogRecord."""
        record = readable.log_record
        parts: list[bytes] = []
        if record.timestamp:
            parts += (_TIME, fixed64(record.timestamp))
        parts.append(SEVERITIES.get(id(record.severity_number), b""))
        text = record.severity_text
        if text not in self._severity_texts:
            self._severity_texts[text] = text_field(_SEVERITY_TEXT, text)
        parts.append(self._severity_texts[text])
        body = any_value(record.body)
        parts += (_BODY, varint(len(body)), body)
        self._attributes.add_to(parts, snapshot(record.attributes))
        if dropped := readable.dropped_attributes:
            parts.append(uint32_field(_DROPPED_ATTRIBUTES, dropped))
        if record.trace_flags:
            parts += (_FLAGS, fixed32(record.trace_flags))
        if record.trace_id:
            parts += (_TRACE_ID, record.trace_id.to_bytes(16, "big"))
        if record.span_id:
            parts += (_SPAN_ID, record.span_id.to_bytes(8, "big"))
        if record.observed_timestamp:
            parts += (_OBSERVED_TIME, fixed64(record.observed_timestamp))
        if record.event_name:
            parts.append(text_field(_EVENT_NAME, record.event_name))
        return b"".join(parts)
