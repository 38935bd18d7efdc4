"""
Notes: what is missing from a story or cannot be right in it.

A note says what was seen and which causes are possible; it never claims more than the records show.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from otelctx.story.addresses import own_addresses, target_of
from otelctx.story.records import LogRecord, MissingSpan, SpanRecord, as_list
from otelctx.story.timing import format_duration
from otelctx.story.tree import Entry, Tree

NoteKind: TypeAlias = Literal[
    "missing_parent",
    "uninstrumented_hop",
    "no_request_id",
    "clock_skew",
    "parent_cycle",
    "duplicate_span_id",
    "baggage_left_out",
]

_SKEW = 1_000_000  # nanoseconds; less than this is the grain of two clocks on one machine
_LEFT_OUT = "otelctx.baggage.left_out"
_LEFT_OUT_FIELDS = "otelctx.baggage.left_out_fields"
_DROPPED = "otelctx.baggage.dropped"
_ANSWERED = ("http.response.status_code", "http.status_code", "rpc.grpc.status_code", "rpc.response.status_code")


@dataclass(frozen=True)
class Note:
    """One thing that a reader of the story should know; *span_id* is the span it is about, where it is about one."""

    kind: NoteKind
    text: str
    span_id: str | None = None


def find_notes(tree: Tree, services: Iterable[str]) -> list[Note]:
    """Return the notes on *tree*, whose records come from *services*."""
    return [
        *_missing_parents(tree),
        *_uninstrumented_hops(tree, frozenset(services)),
        *_without_request_id(tree),
        *_clock_skew(tree),
        *_broken_identifiers(tree),
        *_left_out_baggage(tree),
    ]


def _missing_parents(tree: Tree) -> Iterator[Note]:
    for entry in tree.roots:
        if not isinstance(entry.record, MissingSpan):
            continue
        spans = [child for child in entry.children if isinstance(child.record, SpanRecord)]
        span_id = entry.record.span_id
        causes = "its service may not be instrumented, it is not exported yet, or it was sampled out"
        if not spans:
            lines = _count(len(entry.children), "log line")
            yield Note("missing_parent", f"span {span_id} of {lines} never arrived: {causes}", span_id)
            continue
        first = spans[0].record
        name = first.name if isinstance(first, SpanRecord) else ""
        others = f" and {len(spans) - 1} more" if len(spans) > 1 else ""
        who = f"parent span {span_id} of {name} ({spans[0].service}){others}"
        yield Note("missing_parent", f"{who} never arrived: {causes}", span_id)


def _uninstrumented_hops(tree: Tree, services: frozenset[str]) -> Iterator[Note]:
    own = own_addresses(entry.record for entry in tree.walk())
    hops: Counter[tuple[str, str, bool]] = Counter()
    for entry in _calls_without_server(tree):
        span = entry.record
        if isinstance(span, SpanRecord):
            target = target_of(span)
            is_own = target is not None and (target.service_name in services or target.address in own)
            hops[span.service, str(target) if target else span.name, is_own] += 1
    for (service, called, is_own), count in hops.items():
        calls = "1 call" if count == 1 else f"{count} calls"
        causes = (
            "though this story has other spans of it: they may be excluded, sampled out, or not exported yet"
            if is_own
            else "it may be somebody else's, not instrumented, or not exported yet"
        )
        yield Note("uninstrumented_hop", f"{calls} from {service} to {called} without a server span: {causes}")


def _calls_without_server(tree: Tree) -> Iterator[Entry]:
    """Yield the innermost client spans that were answered and below which no server span is."""
    entries = list(tree.walk())
    continued: set[int] = set()
    for entry in reversed(entries):  # children before parents
        record = entry.record
        is_call = isinstance(record, SpanRecord) and record.kind == "client"
        is_far_side = isinstance(record, SpanRecord) and record.kind in ("server", "consumer")
        if (is_call or is_far_side or id(entry) in continued) and entry.parent is not None:
            continued.add(id(entry.parent))
    for entry in entries:
        span = entry.record
        if not isinstance(span, SpanRecord) or span.kind != "client" or id(entry) in continued:
            continue
        is_database = "db.system" in span.attributes or "db.system.name" in span.attributes
        got_no_answer = span.error and not any(name in span.attributes for name in _ANSWERED)
        if not is_database and not got_no_answer:
            yield entry


def _without_request_id(tree: Tree) -> Iterator[Note]:
    spans: Counter[str] = Counter()
    logs: Counter[str] = Counter()
    total = 0
    for entry in tree.walk():
        if isinstance(entry.record, SpanRecord | LogRecord):
            total += 1
            if entry.record.request_id is None:
                counter = spans if isinstance(entry.record, SpanRecord) else logs
                counter[entry.service] += 1
    if total and spans.total() + logs.total() == total:
        yield Note("no_request_id", "nothing here carries a request id: these services may run without otelctx")
        return
    for service in dict.fromkeys([*spans, *logs]):
        counts = [_count(spans[service], "span"), _count(logs[service], "log line")]
        what = " and ".join(count for count in counts if not count.startswith("0 "))
        yield Note(
            "no_request_id",
            f"{what} of {service} without a request id: it may run without otelctx, or this is work of no request",
        )


def _clock_skew(tree: Tree) -> Iterator[Note]:
    skews: dict[tuple[str, str], int] = {}
    for entry in tree.walk():
        if entry.parent is None or not isinstance(entry.record, SpanRecord) or entry.record.start is None:
            continue
        skew = entry.parent.time - entry.record.start
        if skew >= _SKEW and entry.parent.service not in ("", entry.service):
            pair = (entry.service, entry.parent.service)
            skews[pair] = max(skew, skews.get(pair, 0))
    for (service, other), skew in skews.items():
        yield Note(
            "clock_skew",
            f"the clock of {service} is behind that of {other} by {format_duration(skew)} or more: "
            "its spans begin before the calls that caused them",
        )


def _broken_identifiers(tree: Tree) -> Iterator[Note]:
    for ring in tree.cycles:
        names = ", ".join(span.name for span in ring[:3]) + (", …" if len(ring) > 3 else "")
        verb = "names itself as its parent" if len(ring) == 1 else "name each other as parents"
        yield Note("parent_cycle", f"{_count(len(ring), 'span')} {verb}: {names}", ring[0].span_id)
    for span_id, count in Counter(span.span_id for span in tree.duplicates).items():
        yield Note("duplicate_span_id", f"{count + 1} different spans have the id {span_id or '(empty)'}", span_id)


def _left_out_baggage(tree: Tree) -> Iterator[Note]:
    spans = [entry.record for entry in tree.walk() if isinstance(entry.record, SpanRecord)]
    senders = [(span, count) for span in spans if isinstance(count := span.attributes.get(_LEFT_OUT), int)]
    for span, count in senders:
        names = ", ".join(map(str, as_list(span.attributes.get(_LEFT_OUT_FIELDS))))
        what = f"{_count(count, 'baggage member')}{f' ({names})' if names else ''}"
        text = f"{what} did not fit the baggage that {span.service} sent in {span.name}, and stayed behind"
        yield Note("baggage_left_out", text, span.span_id)
    if senders:  # what follows from it needs no note
        return
    for span in spans:
        count = span.attributes.get(_DROPPED)
        if isinstance(count, int):
            why = "a service before it, which this story does not show, had more than fits"
            text = f"{_count(count, 'baggage member')} did not reach {span.service}: {why}"
            yield Note("baggage_left_out", text, span.span_id)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
