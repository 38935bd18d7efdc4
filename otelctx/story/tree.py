"""
The tree: spans below their parents, logs and span events below their spans, siblings in time order.

Every span and log of the answer is in it once, however broken the parents are, and none comes before its parent.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from otelctx.story.records import EventRecord, LogRecord, MissingSpan, SpanKey, SpanRecord

Record: TypeAlias = "SpanRecord | LogRecord | EventRecord | MissingSpan"


@dataclass(eq=False)
class Entry:
    """
    One line of the story and what is below it.

    *time* (nanoseconds since the epoch) is when it happened, moved to its parent's time where the clock of another
    machine says that it happened before.
    """

    record: Record
    service: str
    time: int
    parent: Entry | None = None
    children: list[Entry] = field(default_factory=list["Entry"])

    @property
    def span(self) -> SpanRecord | None:
        """The span that this line is or belongs to; None when it has none or it never arrived."""
        entry: Entry | None = self
        while entry is not None:
            if isinstance(entry.record, SpanRecord):
                return entry.record
            entry = entry.parent
        return None


@dataclass(eq=False)
class Tree:
    """The roots in time order, and what was wrong with the spans' identifiers."""

    roots: list[Entry]
    cycles: list[list[SpanRecord]]
    duplicates: list[SpanRecord]

    def walk(self) -> Iterator[Entry]:
        """Yield every entry, parents before children, siblings in time order."""
        waiting = list(reversed(self.roots))
        while waiting:
            entry = waiting.pop()
            yield entry
            waiting.extend(reversed(entry.children))


def build_tree(spans: Iterable[SpanRecord], logs: Iterable[LogRecord]) -> Tree:
    """Arrange *spans* and *logs*; spans delivered twice with the same content count once."""
    entries, by_key, duplicates = _index(spans)
    missing: dict[SpanKey, Entry] = {}

    def find(trace_id: str, span_id: str) -> Entry:
        key = (trace_id, span_id)
        if key in by_key:
            return by_key[key]
        return missing.setdefault(key, Entry(MissingSpan(trace_id, span_id), service="", time=0))

    for entry, span in entries:
        if span.parent_id is not None:
            entry.parent = find(span.trace_id, span.parent_id)
    cycles = _cut_cycles(entries)

    everything = [entry for entry, _ in entries]
    for entry, span in entries:
        everything.extend(Entry(event, span.service, event.time or entry.time, entry) for event in span.events)
    for log in logs:
        parent = find(log.trace_id, log.span_id) if log.span_id is not None else None
        everything.append(Entry(log, log.service, log.time or (parent.time if parent else 0), parent))
    everything.extend(missing.values())

    for entry in everything:
        if entry.parent is not None:
            entry.parent.children.append(entry)
    for placeholder in missing.values():
        placeholder.time = min((child.time for child in placeholder.children if child.time), default=0)
    roots = [entry for entry in everything if entry.parent is None]
    _put_in_time_order(roots)
    return Tree(roots, cycles, duplicates)


def _index(
    spans: Iterable[SpanRecord],
) -> tuple[list[tuple[Entry, SpanRecord]], dict[SpanKey, Entry], list[SpanRecord]]:
    """Return an entry for each distinct span, the one that owns each key, and the spans whose key another one owns."""
    entries: list[tuple[Entry, SpanRecord]] = []
    seen: dict[SpanKey, list[SpanRecord]] = {}
    by_key: dict[SpanKey, Entry] = {}
    duplicates: list[SpanRecord] = []
    for span in sorted(spans, key=lambda span: span.start or 0):
        same_key = seen.setdefault(span.key, [])
        if span in same_key:
            continue
        entry = Entry(span, span.service, span.start or 0)
        entries.append((entry, span))
        if same_key:
            duplicates.append(span)
        else:
            by_key[span.key] = entry
        same_key.append(span)
    return entries, by_key, duplicates


def _cut_cycles(entries: list[tuple[Entry, SpanRecord]]) -> list[list[SpanRecord]]:
    """Make the earliest span of every ring of parents a root, and return the rings."""
    cycles: list[list[SpanRecord]] = []
    settled: set[int] = set()
    for start, _ in entries:
        path: dict[int, Entry] = {}
        entry: Entry | None = start
        while entry is not None and id(entry) not in settled and id(entry) not in path:
            path[id(entry)] = entry
            entry = entry.parent
        if entry is not None and id(entry) in path:
            members = list(path.values())
            ring = members[members.index(entry) :]
            min(ring, key=lambda member: member.time).parent = None
            cycles.append([member.record for member in ring if isinstance(member.record, SpanRecord)])
        settled.update(path)
    return cycles


def _put_in_time_order(roots: list[Entry]) -> None:
    roots.sort(key=lambda entry: entry.time)
    waiting = list(roots)
    while waiting:
        entry = waiting.pop()
        for child in entry.children:
            child.time = max(child.time, entry.time)
        entry.children.sort(key=lambda child: child.time)
        waiting.extend(entry.children)
