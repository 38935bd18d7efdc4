"""
Field origins: where each value of each field came from.

Only what the records show is claimed: a recorded `set` or origin of a request id, else where a value is seen first.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

from otelctx.story.records import Attributes, EventRecord, LogRecord, SpanRecord, as_list
from otelctx.story.tree import Entry, Tree

REQUEST_ID = "request_id"
USER_ID = "user.id"
SET_EVENT = "otelctx.set"
FIELDS_ATTRIBUTE = "otelctx.fields"
REQUEST_ID_ORIGIN = "otelctx.request_id.origin"

How: TypeAlias = Literal["generated", "received", "set", "changed", "bound", "seen"]


@dataclass(frozen=True)
class Origin:
    """
    How one value of one field began; *time* is in nanoseconds since the epoch.

    "generated" and "received" are recorded for the request id; "set" is the first recorded `otelctx.set` of a field
    and "changed" every later one that gives another value; "bound" appeared inside a service whose outer span lacks it;
    "seen" is where a value came in that nothing recorded.
    """

    field: str
    value: object
    how: How
    service: str
    span_name: str | None
    time: int


@dataclass
class _Sightings:
    """What the lines of a story say about one field."""

    sets: list[tuple[object, Entry]] = field(default_factory=list[tuple[object, Entry]])
    carriers: list[tuple[object, Entry]] = field(default_factory=list[tuple[object, Entry]])


def find_origins(tree: Tree) -> list[Origin]:
    """Return the origins of all values, grouped by field (request id and user id first), each group in time order."""
    entries = sorted(tree.walk(), key=lambda entry: entry.time)
    names = _field_names(entries)
    sightings = {name: _Sightings() for name in names}
    for entry in entries:
        attributes = _attributes(entry)
        found = sightings.keys() & attributes.keys()
        is_set = isinstance(entry.record, EventRecord)
        for name in found:
            place = sightings[name].sets if is_set else sightings[name].carriers
            place.append((attributes[name], entry))
    return [origin for name in names for origin in _origins_of(name, sightings[name])]


def _field_names(entries: list[Entry]) -> list[str]:
    names = {REQUEST_ID: None, USER_ID: None}
    for entry in entries:
        if isinstance(entry.record, EventRecord):
            names.update(dict.fromkeys(_attributes(entry)))
        elif isinstance(entry.record, SpanRecord):
            for source in (entry.record.attributes, entry.record.resource):
                names.update((name, None) for name in as_list(source.get(FIELDS_ATTRIBUTE)) if isinstance(name, str))
    return list(names)


def _attributes(entry: Entry) -> Attributes:
    record = entry.record
    if isinstance(record, EventRecord):
        return record.attributes if record.name == SET_EVENT else {}
    if isinstance(record, SpanRecord | LogRecord):
        if record.request_id is not None and REQUEST_ID not in record.attributes:
            return {**record.attributes, REQUEST_ID: record.request_id}
        return record.attributes
    return {}


def _origins_of(name: str, sightings: _Sightings) -> list[Origin]:
    origins: list[Origin] = []
    previous: object = None
    for value, entry in sightings.sets:
        if not origins or value != previous:
            origins.append(_origin(name, value, "set", entry))
        previous = value
    explained = _Explained(sightings.sets)
    for value, entry in sightings.carriers:
        if not explained.covers(value, entry):
            explained.add(value)
            origins.append(_origin(name, value, _first_seen(name, entry), entry))
    origins.sort(key=lambda origin: origin.time)
    return [
        replace(origin, how="changed") if position and origin.how == "set" else origin
        for position, origin in enumerate(origins)
    ]


class _Explained:
    """
    The values whose origin is known.

    A set is written through to the server span, which began before it; so it explains its value everywhere in its own
    service, and in the others from then on.
    """

    def __init__(self, sets: list[tuple[object, Entry]]) -> None:
        self._everywhere: set[str] = set()
        self._in_service: set[tuple[str, str]] = set()
        self._from: dict[str, int] = {}
        for value, entry in sets:
            self._in_service.add((repr(value), entry.service))
            self._from.setdefault(repr(value), entry.time)

    def add(self, value: object) -> None:
        self._everywhere.add(repr(value))

    def covers(self, value: object, entry: Entry) -> bool:
        text = repr(value)
        if text in self._everywhere or (text, entry.service) in self._in_service:
            return True
        return text in self._from and self._from[text] <= entry.time


def _first_seen(name: str, entry: Entry) -> How:
    span = entry.span
    recorded = span.attributes.get(REQUEST_ID_ORIGIN) if span is not None and name == REQUEST_ID else None
    if recorded == "generated":
        return "generated"
    if recorded == "received":
        return "received"
    outer = entry.parent
    return "bound" if outer is not None and outer.service == entry.service else "seen"


def _origin(name: str, value: object, how: How, entry: Entry) -> Origin:
    span = entry.span
    return Origin(name, value, how, entry.service, span.name if span is not None else None, entry.time)
