"""
The request: one shared, mutable cell that lives as long as one unit of work.

Everybody in the request holds the same cell, so a value written anywhere is seen everywhere, whatever became of the
OTel Context in between. Two requests never share one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeAlias, TypeVar

from opentelemetry.trace import INVALID_SPAN, Span, SpanContext

from otelctx.core.redaction import Memo, View
from otelctx.core.registry import Registry, registry
from otelctx.native import compiled

GENERATED: Final = "generated"
RECEIVED: Final = "received"

V = TypeVar("V")
Showing: TypeAlias = Callable[[Mapping[str, object], View, Memo], Mapping[str, V]]
Listener = Callable[["Request", Mapping[str, object], Mapping[str, object]], None]


FRESH: Final = object()
# Of requests that have none; never written to.
NOTHING: Final[Mapping[str, Any]] = {}


@compiled
class Request:
    """
    The values of one unit of work.

    Attributes:
        values: by field name, ours; None hides a default and is never sent.
        carried: by baggage key, members that no field declares; they pass through as they came.
        properties: by baggage key, of a received member its text and its properties. They are sent again while the
            member still has that text.
        origins: by field name, ``generated`` or ``received``, for values that were there at the start and were not
            written since.
        link: the span that it came with and does not continue, for its first span to be linked to.
        former: by field name, what it came with and does not continue, of the values that each request has.
        broken_seal: why its fields were not believed, and the service that is said to have sealed them; for its first
            span to tell.
        entry_span: the span that stands for all of it, the server's or consumer's, once there is one.
        served: it was opened at the edge of a server, for a message that came in.
        hashes: by field name, the value that was hashed last for telemetry, and its hash.
        stamped: what was put on its last log record, after the version, the view and the span that it is made of.
        sent: of which version, declarations and fields the last headers of an outgoing call were made, and those.
        version: another object after each change of its values.
        writes: how often its values were changed.
        listeners: called with the request, each change after it was made, and the values that were there before; they
            must not raise.
    """

    __slots__ = (
        "__weakref__",
        "_shown",
        "broken_seal",
        "carried",
        "entry_span",
        "former",
        "hashes",
        "link",
        "listeners",
        "origins",
        "properties",
        "sent",
        "served",
        "stamped",
        "values",
        "version",
        "writes",
    )

    def __init__(
        self,
        values: dict[str, object] | None = None,
        carried: Mapping[str, str] = NOTHING,
        properties: Mapping[str, tuple[str, str]] | None = None,
    ) -> None:
        """Open a request that starts with *values*, received from elsewhere, and generates what is missing."""
        self.values: dict[str, object] = {} if values is None else values
        self.carried = carried
        self.properties = NOTHING if properties is None else properties
        self.link: SpanContext | None = None
        self.former: Mapping[str, object] | None = None
        self.broken_seal: tuple[str, str] | None = None
        self.entry_span: Span = INVALID_SPAN
        self.hashes: Memo = {}
        self.stamped: tuple[object, View, object, Mapping[str, Any]] | None = None
        self.sent: tuple[object, Registry, frozenset[str], Any] | None = None
        self.served = False
        self.writes = 0
        self.listeners: tuple[Listener, ...] = ()
        self.version = FRESH
        self._shown: tuple[tuple[object, object, View, Mapping[str, Any]], ...] = ()
        self.origins: dict[str, str] = dict.fromkeys(self.values, RECEIVED)
        for field in registry().generated:
            if self.values.get(field.name) is None and (value := field.generated()) is not None:
                self.values[field.name] = value
                self.origins[field.name] = GENERATED

    def write(self, changes: Mapping[str, object]) -> None:
        """Make *changes* for everybody in the request, and tell the listeners."""
        values, listeners = self.values, self.listeners
        before: dict[str, object] = {}
        if listeners:
            before = {name: value for name in changes if (value := values.get(name)) is not None}
        values.update(changes)
        self.writes += 1
        # Not the number: of two writers at once without the GIL, the later one could store the smaller.
        self.version = object()
        # No lock: a signal handler may write in the middle of this, and a process may fork. Each is one operation.
        without(self.origins, changes)
        for listener in listeners:
            listener(self, changes, before)

    def shown(self, make: Showing[V], view: View) -> Mapping[str, V]:
        """Return what *make* makes of the values for *view*, made once between two writes; not to be changed."""
        # Read before the values are: what is written meanwhile is not taken for what was there before.
        version, kept = self.version, self._shown
        for maker, of, seen, made in kept:
            if maker is make and of is version and seen is view:
                return made
        shown = make(self.values.copy(), view, self.hashes)
        self._shown = (*(one for one in kept if one[0] is not make), (make, version, view, shown))
        return shown


class AmbientRequest(Request):
    """
    The stand-in of a task that called `set` outside any request.

    Attributes:
        written: the names that were set in this task, as opposed to what it started with.
    """

    __slots__ = ("written",)

    def __init__(self, outer: Request | None = None) -> None:
        """Start with what the task that started this one had, or with nothing."""
        super().__init__(
            None if outer is None else outer.values.copy(),
            NOTHING if outer is None else {**outer.carried},
            None if outer is None else outer.properties,
        )
        self.written: set[str] = set()
        if outer is not None:
            self.origins.update(outer.origins)

    def write(self, changes: Mapping[str, object]) -> None:
        """Make *changes*, and remember their names."""
        self.written.update(changes)
        super().write(changes)


@compiled
def accepted(values: Mapping[str, object]) -> dict[str, object]:
    """
    Return *values* as their fields hold them, and None for those that do not fit: no value beats a wrong one.

    Raises:
        UnknownFieldError: in strict mode, for an undeclared name; nothing was changed then.
    """
    declared = registry()
    by_name = declared.by_name
    result: dict[str, object] = {}
    plain = declared.plain
    for name, value in values.items():
        if type(value) is str and len(value) <= plain.get(name, -1) and value.isprintable():
            result[name] = value
            continue
        field = by_name.get(name)
        if field is None:
            declared.check(name)
            result[name] = value
        else:
            result[name] = None if value is None else field.accept(value)
    return result


def without(values: dict[str, Any], names: Iterable[str]) -> None:
    """Remove *names* from *values*, those that are there."""
    for name in names:
        values.pop(name, None)
