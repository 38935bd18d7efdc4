"""
Records: the spans and logs of a story, as the local collector answered them.

Every attribute has its type and a value, whatever the answer left out; only what is no story at all is an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias, cast

from otelctx.errors import CollectorError

Attributes: TypeAlias = Mapping[str, object]
SpanKey: TypeAlias = tuple[str, str]

_ERROR_SEVERITY = 17  # OpenTelemetry logs data model, "SeverityNumber": ERROR starts at 17
_LEVELS = ("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL")  # four severity numbers each, from 1


@dataclass(frozen=True)
class EventRecord:
    """Something that happened inside a span; *time* is in nanoseconds since the epoch."""

    name: str
    time: int | None
    attributes: Attributes


@dataclass(frozen=True)
class SpanRecord:
    """One finished span; *start* and *end* are in nanoseconds since the epoch."""

    trace_id: str
    span_id: str
    parent_id: str | None
    name: str
    kind: str
    service: str
    start: int | None
    end: int | None
    error: bool
    status_message: str
    request_id: str | None
    attributes: Attributes
    resource: Attributes
    events: tuple[EventRecord, ...]
    links: tuple[SpanKey, ...]

    @property
    def key(self) -> SpanKey:
        """What children and logs name this span by."""
        return (self.trace_id, self.span_id)

    @property
    def duration(self) -> int | None:
        """Nanoseconds from start to end; None when one is unknown or the end comes first."""
        if self.start is None or self.end is None or self.end < self.start:
            return None
        return self.end - self.start


@dataclass(frozen=True)
class LogRecord:
    """One log line; *time* is in nanoseconds since the epoch."""

    time: int | None
    level: str
    error: bool
    body: str
    service: str
    logger: str
    trace_id: str
    span_id: str | None
    request_id: str | None
    attributes: Attributes


@dataclass(frozen=True)
class MissingSpan:
    """A span that others name as theirs and that never arrived."""

    trace_id: str
    span_id: str


def as_mapping(value: object) -> Attributes:
    """Return *value* when it is a JSON object, else an empty one."""
    return cast("Attributes", value) if isinstance(value, Mapping) else {}


def as_list(value: object) -> list[object]:
    """Return *value* when it is a JSON array, else an empty one."""
    return cast("list[object]", value) if isinstance(value, list) else []


def as_text(value: object) -> str:
    """Return *value* when it is a non-empty string, else an empty one."""
    return value if isinstance(value, str) else ""


def as_nanoseconds(value: object) -> int | None:
    """Return a 64-bit integer written as a decimal string (or a number); None for zero, absence and nonsense."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return None
    try:
        number = int(value)
    except (ValueError, OverflowError):
        return None
    return number if 0 < number < 1 << 64 else None


def read_spans(story: Attributes) -> list[SpanRecord]:
    """Return the spans of *story*, in the order of the answer."""
    return [_read_span(as_mapping(span)) for span in as_list(story.get("spans"))]


def read_logs(story: Attributes) -> list[LogRecord]:
    """Return the logs of *story*, in the order of the answer."""
    return [_read_log(as_mapping(log)) for log in as_list(story.get("logs"))]


def check_story(answer: object) -> Attributes:
    """
    Return *answer* when it has the shape of a story.

    Raises:
        CollectorError: it is no JSON object with lists of spans and logs (docs/query-api.md, "Story").
    """
    story = as_mapping(answer)
    if not isinstance(story.get("spans"), list) or not isinstance(story.get("logs"), list):
        message = "The answer is no story: expected a JSON object with 'spans' and 'logs'; is it an otelctx collector?"
        raise CollectorError(message)
    return story


def _read_span(span: Attributes) -> SpanRecord:
    status = as_mapping(span.get("status"))
    return SpanRecord(
        trace_id=as_text(span.get("trace_id")),
        span_id=as_text(span.get("span_id")),
        parent_id=as_text(span.get("parent_span_id")) or None,
        name=as_text(span.get("name")) or "(unnamed span)",
        kind=as_text(span.get("kind")) or "internal",
        service=as_text(span.get("service")) or "unknown",
        start=as_nanoseconds(span.get("start_unix_nano")),
        end=as_nanoseconds(span.get("end_unix_nano")),
        error=status.get("code") == "error",
        status_message=as_text(status.get("message")),
        request_id=as_text(span.get("request_id")) or None,
        attributes=as_mapping(span.get("attributes")),
        resource=as_mapping(span.get("resource")),
        events=tuple(_read_event(as_mapping(event)) for event in as_list(span.get("events"))),
        links=tuple(_read_link(as_mapping(link)) for link in as_list(span.get("links"))),
    )


def _read_event(event: Attributes) -> EventRecord:
    return EventRecord(
        name=as_text(event.get("name")) or "(unnamed event)",
        time=as_nanoseconds(event.get("time_unix_nano")),
        attributes=as_mapping(event.get("attributes")),
    )


def _read_link(link: Attributes) -> SpanKey:
    return (as_text(link.get("trace_id")), as_text(link.get("span_id")))


def _read_log(log: Attributes) -> LogRecord:
    severity = log.get("severity_number")
    number = severity if isinstance(severity, int) else 0
    by_number = _LEVELS[(number - 1) // 4] if 0 < number <= 4 * len(_LEVELS) else ""
    body = log.get("body")
    return LogRecord(
        time=as_nanoseconds(log.get("time_unix_nano")) or as_nanoseconds(log.get("observed_time_unix_nano")),
        level=as_text(log.get("severity_text")).upper() or by_number,
        error=number >= _ERROR_SEVERITY,
        body=as_text(log.get("event_name")) if body is None else (body if isinstance(body, str) else repr(body)),
        service=as_text(log.get("service")) or "unknown",
        logger=as_text(log.get("scope")),
        trace_id=as_text(log.get("trace_id")),
        span_id=as_text(log.get("span_id")) or None,
        request_id=as_text(log.get("request_id")) or None,
        attributes=as_mapping(log.get("attributes")),
    )
