"""
Batches: one received request as rows for the store.

A batch is complete in itself: the writer needs no more than SQL to store it, and stores all of it or nothing.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from otelctx.collector.refusal import TOO_LARGE, RefusedError
from otelctx.collector.values import JsonValue, encode, identity, mapping

if TYPE_CHECKING:
    from opentelemetry.proto.resource.v1.resource_pb2 import Resource

Row: TypeAlias = tuple[object, ...]

# A record takes far more memory as a row than the few bytes that it may be on the wire.
MAX_RECORDS = 200_000
REQUEST_ID = "request_id"
USER_ID = "user.id"
# Semantic conventions, "Service": the value when a resource names no service.
UNKNOWN_SERVICE = "unknown_service"


class Ids(NamedTuple):
    """What a record says about where it belongs."""

    trace_id: bytes | None
    request_id: str | None
    user_id: str | None


@dataclass
class Group:
    """The rows of one resource."""

    service: str
    resource: str
    rows: list[Row] = field(default_factory=list[Row])


@dataclass
class Batch:
    """
    The rows of one request.

    Attributes:
        signal: ``traces``, ``logs`` or ``metrics``.
        size: Bytes of the body.
        digest: What makes the same body recognisable when a sender tries again.
        groups: The rows, by resource.
        extents: For each story (see :func:`story_key`) the earliest start and latest end, nanoseconds.
        facts: Story, kind (``trace``, ``service``, ``user``) and value, each once.
        records: Number of rows.
        rejected: Records left out because they break OTLP's rules.
        payload: The request in protobuf, kept only while something is forwarded.
    """

    signal: str
    size: int
    digest: bytes
    groups: list[Group] = field(default_factory=list[Group])
    extents: dict[str, tuple[int, int]] = field(default_factory=dict[str, tuple[int, int]])
    facts: set[tuple[str, str, str]] = field(default_factory=set[tuple[str, str, str]])
    rejected: int = 0
    payload: bytes = b""
    records: int = 0

    def add(self, group: Group, row: Row) -> None:
        """
        Add *row* to *group*.

        Raises:
            RefusedError: for more records than one request may have (413).
        """
        self.records += 1
        if self.records > MAX_RECORDS:
            raise RefusedError(TOO_LARGE, f"The body holds more than {MAX_RECORDS} records; send smaller batches")
        group.rows.append(row)

    def group_for(self, resource: Resource) -> Group:
        """Open the group of the rows that *resource* emitted."""
        attributes = mapping(resource.attributes)
        group = Group(service_of(attributes), encode(attributes))
        self.groups.append(group)
        return group

    def note(self, ids: Ids, service: str, start: int, end: int) -> None:
        """Remember to which story a record belongs and what it says about it."""
        story = story_key(ids.request_id, ids.trace_id)
        if story is None:
            return
        known = self.extents.get(story)
        self.extents[story] = (start, end) if known is None else (min(known[0], start), max(known[1], end))
        self.facts.add((story, "service", service))
        if ids.trace_id is not None:
            self.facts.add((story, "trace", ids.trace_id.hex()))
        if ids.user_id is not None:
            self.facts.add((story, "user", ids.user_id))


def empty_batch(signal: str, body: bytes) -> Batch:
    """Start the batch of *body*."""
    digest = hashlib.blake2b(body, digest_size=16, person=signal.encode("ascii")).digest()
    return Batch(signal, len(body), digest)


def service_of(attributes: dict[str, JsonValue]) -> str:
    """Name the service of a resource's *attributes*."""
    name = attributes.get("service.name")
    return name if isinstance(name, str) and name else UNKNOWN_SERVICE


def story_key(request_id: str | None, trace_id: bytes | None) -> str | None:
    """
    Name what a record belongs to: its request, or else its trace, or nothing.

    >>> story_key("r1", bytes(16)), story_key(None, bytes([1] * 2)), story_key(None, None)
    ('r:r1', 't:0101', None)
    """
    if request_id is not None:
        return f"r:{request_id}"
    return None if trace_id is None else f"t:{trace_id.hex()}"


def ids_of(trace_id: bytes | None, attributes: dict[str, JsonValue]) -> Ids:
    """Read the request and user id of a record with *attributes* in *trace_id*."""
    return Ids(trace_id, identity(attributes, REQUEST_ID), identity(attributes, USER_ID))


def valid_id(value: bytes, length: int) -> bytes | None:
    """Give *value* if it is an id of *length* bytes that is not all zeros (W3C Trace Context, 3.2.2), else None."""
    return value if len(value) == length and any(value) else None
