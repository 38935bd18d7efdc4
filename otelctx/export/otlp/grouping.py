"""
Grouping: the records of a batch under the resource and the scope they are from, as an export request has them.

The three signals have the same envelope: ExportXServiceRequest { ResourceX { Resource, ScopeX { Scope, X } } }.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, NamedTuple, Protocol, TypeAlias, TypeVar

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from otelctx.core.reports import report
from otelctx.export.otlp.attributes import AttributeEncoder
from otelctx.export.otlp.wire import LENGTH, length_delimited, tag, text_field, varint
from otelctx.native import compiled

# ExportTraceServiceRequest, ExportLogsServiceRequest, ExportMetricsServiceRequest
_RESOURCE_RECORDS: Final = tag(1, LENGTH)
# ResourceSpans, ResourceLogs, ResourceMetrics
_RESOURCE: Final = tag(1, LENGTH)
_SCOPE_RECORDS: Final = tag(2, LENGTH)
# ScopeSpans, ScopeLogs, ScopeMetrics
_SCOPE: Final = tag(1, LENGTH)
_RECORD: Final = tag(2, LENGTH)
# In both of them
_SCHEMA_URL: Final = tag(3, LENGTH)
# opentelemetry/proto/resource/v1/resource.proto, Resource
_RESOURCE_ATTRIBUTES: Final = 1
# opentelemetry/proto/common/v1/common.proto, InstrumentationScope
_NAME: Final = tag(1, LENGTH)
_VERSION: Final = tag(2, LENGTH)
_SCOPE_ATTRIBUTES: Final = 3


# Told why something is left out, and how many items that is.
Refused: TypeAlias = Callable[[Exception, int], None]


def report_refused(error: Exception, items: int) -> None:
    """Count and report, for a caller that does no more with it."""
    report("export.encoding", "Telemetry (%d) that cannot be encoded is dropped: %s", items, type(error).__name__)


class Record(Protocol):
    """A span or a log record."""

    @property
    def resource(self) -> Resource:
        """The resource it is from."""
        ...

    @property
    def instrumentation_scope(self) -> InstrumentationScope | None:
        """The scope it is from."""
        ...


RecordT = TypeVar("RecordT", bound=Record)
RecordT_contra = TypeVar("RecordT_contra", contravariant=True)


class _Around(NamedTuple):
    """What a resource or a scope puts before and after what is in it; the same for all that say the same."""

    before: bytes
    after: bytes


class _Known(NamedTuple):
    """The records of a pair of objects; it holds them, so that their ids mean nothing else while the batch lasts."""

    resource: Resource
    scope: InstrumentationScope | None
    records: list[bytes]


class Groups:
    """The encoded records of one batch, in the order in which they came."""

    __slots__ = ("_known", "_resources")

    def __init__(self) -> None:
        """Begin with no record."""
        self._known: dict[tuple[int, int], _Known] = {}
        self._resources: dict[_Around, dict[_Around, list[bytes]]] = {}

    def records_of(self, resource: Resource, scope: InstrumentationScope | None) -> list[bytes]:
        """Return the list that the fields of the records from there are appended to."""
        ids = id(resource), id(scope)
        known = self._known.get(ids)
        if known is None:
            scopes = self._resources.setdefault(_around_resource(resource), {})
            records = scopes.setdefault(_around_scope(scope), [])
            known = self._known[ids] = _Known(resource, scope, records)
        return known.records

    def encode(self) -> bytes:
        """Return the request, put together once: a join for each level would copy every record three times more."""
        request: list[bytes] = []
        for resource, scopes in self._resources.items():
            inside = [resource.before]
            for scope, records in scopes.items():
                _add_message(inside, _SCOPE_RECORDS, [scope.before, *records, scope.after])
            inside.append(resource.after)
            _add_message(request, _RESOURCE_RECORDS, inside)
        return b"".join(request)


class Encoder(Protocol[RecordT_contra]):
    """Encodes the records of one batch."""

    def encode(self, record: RecordT_contra, /) -> bytes:
        """Return the body of the message for *record*."""
        ...


def _one(_: object) -> int:
    return 1


@compiled
def encode_each(
    records: Iterable[RecordT],
    encoder: Encoder[RecordT],
    refused: Refused,
    items_of: Callable[[RecordT], int] = _one,
) -> bytes:
    """
    Return the request with the *records*, each the message that *encoder* makes of it.

    One that cannot be encoded is left out, and *refused* is told how many items it had; the others are to arrive.
    """
    groups = Groups()
    # Sizes repeat, and so do resource and scope from one record to the next.
    before: dict[int, bytes] = {}
    resource = scope = group = None
    for record in records:
        try:
            body = encoder.encode(record)
            if group is None or record.resource is not resource or record.instrumentation_scope is not scope:
                resource, scope = record.resource, record.instrumentation_scope
                group = groups.records_of(resource, scope)
        except Exception as error:  # noqa: BLE001 - told; a record may hold whatever the application has put in
            refused(error, items_of(record))
            continue
        size = len(body)
        if size not in before:
            before[size] = _RECORD + varint(size)
        group.append(before[size])
        group.append(body)
    return groups.encode()


def _add_message(outer: list[bytes], tag: bytes, inner: list[bytes]) -> None:
    outer += (tag, varint(sum(map(len, inner))))
    outer += inner


def _around_resource(resource: Resource) -> _Around:
    attributes = AttributeEncoder(_RESOURCE_ATTRIBUTES).encode(resource.attributes)
    return _Around(length_delimited(_RESOURCE, attributes), text_field(_SCHEMA_URL, resource.schema_url))


def _around_scope(scope: InstrumentationScope | None) -> _Around:
    if scope is None:
        return _Around(length_delimited(_SCOPE, b""), b"")
    attributes = AttributeEncoder(_SCOPE_ATTRIBUTES).encode(scope.attributes)
    body = text_field(_NAME, scope.name) + text_field(_VERSION, scope.version) + attributes
    return _Around(length_delimited(_SCOPE, body), text_field(_SCHEMA_URL, scope.schema_url))
