"""
The assembled story: the tree of one request with its field origins and notes.

It is computed once from the collector's answer and is the same for every way of showing it.
"""

from __future__ import annotations

from dataclasses import dataclass

from otelctx.story.notes import Note, find_notes
from otelctx.story.origins import Origin, find_origins
from otelctx.story.records import LogRecord, SpanRecord, as_list, as_text, check_story, read_logs, read_spans
from otelctx.story.tree import Entry, Tree, build_tree


@dataclass(frozen=True)
class Story:
    """
    One request over all its services.

    *start* and *end* are in nanoseconds since the epoch, 0 when nothing has a time.
    """

    request_id: str | None
    user_id: str | None
    trace_ids: tuple[str, ...]
    services: tuple[str, ...]
    start: int
    end: int
    error: bool
    spans: int
    logs: int
    errors: int
    tree: Tree
    origins: tuple[Origin, ...]
    notes: tuple[Note, ...]

    @property
    def first_span(self) -> SpanRecord | None:
        """The span that the request began with: the earliest one without a parent here."""
        return next((entry.record for entry in self.tree.walk() if isinstance(entry.record, SpanRecord)), None)


def assemble(answer: object) -> Story:
    """
    Return the story that *answer* tells, the parsed JSON of `GET /api/story` (docs/query-api.md).

    Raises:
        CollectorError: *answer* is no story.
    """
    data = check_story(answer)
    tree = build_tree(read_spans(data), read_logs(data))
    entries = list(tree.walk())
    seen = [entry.service for entry in sorted(entries, key=lambda entry: entry.time) if entry.service]
    named = [name for name in as_list(data.get("services")) if isinstance(name, str)]
    services = tuple(dict.fromkeys([*seen, *named]))
    errors = sum(is_error(entry) for entry in entries)
    start = next((entry.time for entry in entries if isinstance(entry.record, SpanRecord) and entry.time), 0)
    start = start or min((entry.time for entry in entries if entry.time), default=0)
    return Story(
        request_id=as_text(data.get("request_id")) or None,
        user_id=as_text(data.get("user_id")) or None,
        trace_ids=tuple(name for name in as_list(data.get("trace_ids")) if isinstance(name, str)),
        services=services,
        start=start,
        end=max((end_of(entry) for entry in entries), default=start),
        error=data.get("error") is True or errors > 0,
        spans=sum(isinstance(entry.record, SpanRecord) for entry in entries),
        logs=sum(isinstance(entry.record, LogRecord) for entry in entries),
        errors=errors,
        tree=tree,
        origins=tuple(find_origins(tree)),
        notes=tuple(find_notes(tree, services)),
    )


def is_error(entry: Entry) -> bool:
    """Return whether the line itself reports an error: a failed span, or a log of level ERROR and above."""
    return isinstance(entry.record, SpanRecord | LogRecord) and entry.record.error


def end_of(entry: Entry) -> int:
    """Return when the line ended, in nanoseconds since the epoch: never before it began."""
    record = entry.record
    return max(entry.time, record.end or 0) if isinstance(record, SpanRecord) else entry.time
