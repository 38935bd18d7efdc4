"""
Layers: what OTel's baggage key holds, a live view of the request with the bindings of this place on top.

A layer is a `dict` to OpenTelemetry, which reads it with `baggage.get_all()` and derives a new one with
`baggage.set_baggage()`. To us it is a link in a chain: bindings inside, the shared request at the end. So a value set
later is seen in a Context made earlier, baggage that other code sets is read by `otelctx.get`, and there is no second
copy of anything to keep in step. Its mapping shows remote fields only; a local field cannot leave through it.
"""

from __future__ import annotations

from collections.abc import Callable, ItemsView, Iterable, Iterator, Mapping, MutableMapping, ValuesView
from typing import Any, Final

from otelctx.core.fields import Field, is_token
from otelctx.core.redaction import Memo
from otelctx.core.registry import registry
from otelctx.core.reports import report
from otelctx.core.request import Request, without
from otelctx.core.values import wire_text
from otelctx.native import compiled

ABSENT: Final = object()

# Of a link that binds nothing; never written to.
NONE: Final[dict[str, Any]] = {}

# A deeper chain is folded into one link, so that code which adds baggage in a loop stays linear.
MAX_DEPTH: Final = 64


def _texts(values: Mapping[str, object], fields: Iterable[Field]) -> dict[str, str]:
    return {field.baggage_key: wire_text(value) for field in fields if (value := values.get(field.name)) is not None}


@compiled
class Link(dict[str, object]):
    """
    One link of the chain, and what is asked of it most.

    Attributes:
        request: the cell at the end of the chain, or None outside any request.
        parent: the next link outwards.
        bound: by field name, values of this link; None hides an outer value.
        members: by baggage key, members that no field declares, set here by other code; None hides an outer one.
        near: where nearly all that is read here is found at once: the values of the request, or what is bound. A value
            that is there and not None is what `find` returns.
    """

    __slots__ = ("bound", "depth", "members", "near", "parent", "request")

    _fold: Callable[[], None]

    def __init__(
        self,
        request: Request | None,
        parent: Link | None = None,
        bound: dict[str, object] = NONE,
        members: dict[str, str | None] = NONE,
    ) -> None:
        """Put a link on *parent*; it takes *bound* and *members* over."""
        self.request = request
        self.parent = parent
        self.bound = bound
        self.members = members
        self.depth: int = 0 if parent is None else parent.depth + 1
        if self.depth > MAX_DEPTH:
            self._fold()
        # What is written in a task outside any request counts more than what is bound around it: `find` is asked then.
        if type(request) is not Request:
            self.near = NONE
        else:
            self.near = self.bound if self.bound or self.parent is not None else request.values

    def find(self, name: str) -> object:
        """Return the value of *name* as seen from here, None where it is hidden, or `ABSENT`."""
        layer: Link | None = self
        while layer is not None:
            # One look-up: `write` may take the name off between two, from another thread.
            value = layer.bound.get(name, ABSENT)
            if value is not ABSENT:
                return value
            layer = layer.parent
        request = self.request
        return ABSENT if request is None else request.values.get(name, ABSENT)

    def write(self, changes: Mapping[str, object]) -> None:
        """
        Make *changes* to the request, and take their names off every binding around this place.

        In this order: another thread in the same place sees the value from before or the new one, never an outer one.
        """
        request = self.request
        if request is None:
            raise LookupError("There is no request here to write to")
        request.write(changes)
        layer: Link | None = self
        while layer is not None:
            if layer.bound:
                without(layer.bound, changes)
            layer = layer.parent


class Layer(Link):  # noqa: PLW1641 - like any dict, it has no hash
    """One link of the chain, as OpenTelemetry and all the others see it."""

    __slots__ = ()

    parent: Layer | None

    def _fold(self) -> None:
        self.bound, self.members = self._merged()
        self.parent, self.depth = None, 0

    def _merged(self) -> tuple[dict[str, object], dict[str, str | None]]:
        bound: dict[str, object] = {}
        members: dict[str, str | None] = {}
        for layer in self._outwards_in():
            bound.update(layer.bound)
            members.update(layer.members)
        return bound, members

    def _outwards_in(self) -> list[Layer]:
        chain: list[Layer] = []
        layer: Layer | None = self
        while layer is not None:
            chain.append(layer)
            layer = layer.parent
        chain.reverse()
        return chain

    # What otelctx asks.

    def visible(self) -> dict[str, object]:
        """Return all values by name as seen from here; None where one is hidden."""
        # Copied before anything is iterated: another thread may write to the request meanwhile.
        values = {} if self.request is None else self.request.values.copy()
        for layer in self._outwards_in():
            values.update(layer.bound)
        return values

    def bound_names(self) -> set[str]:
        """Return the names that have a bound value here."""
        chain = [layer.bound.copy() for layer in self._outwards_in()]
        return {name for bound in chain for name, value in bound.items() if value is not None}

    def undeclared(self) -> dict[str, str]:
        """Return the baggage members that no field declares, by key."""
        members: dict[str, str | None] = {} if self.request is None else {**self.request.carried}
        for layer in self._outwards_in():
            members.update(layer.members)
        return {key: text for key, text in members.items() if text is not None}

    def properties(self) -> Mapping[str, tuple[str, str]] | None:
        """Return the properties of received members, as `Request.properties` has them, or None outside a request."""
        return None if self.request is None else self.request.properties

    def hashes(self) -> Memo:
        """Return `Request.hashes`, or nothing that lasts outside a request."""
        return {} if self.request is None else self.request.hashes

    def wire(self) -> dict[str, str]:
        """Return all that may leave the process, by baggage key, the most important first."""
        declared = registry()
        values = self.visible()
        members = _texts(values, declared.ahead)
        for key, text in self.undeclared().items():
            members.setdefault(key, text)
        if declared.behind:
            members.update(_texts(values, declared.behind))
        return members

    def on(self, request: Request, without_names: Iterable[str] = ()) -> Layer:
        """Return one link on *request* that shows what this chain does, but for the bindings of *without_names*."""
        bound, members = self._merged()
        without(bound, without_names)
        return Layer(request, None, bound, members)

    # What OpenTelemetry asks of a dict under its baggage key.

    def copy(self) -> Layer:
        """Return a link on this one, for `set_baggage` and `remove_baggage` to change."""
        return Layer(self.request, self)

    def __setitem__(self, key: str, value: object) -> None:
        if not isinstance(key, str) or not is_token(key):
            report("baggage.bad_key", "A baggage key was not a token of RFC 9110, and was left out")
            return
        declared = registry()
        # The name of a local field stays one: what was declared to stay in the process does not leave by this door.
        field = declared.by_key.get(key) or declared.by_name.get(key)
        if field is None:
            self._give(key, None if value is None else str(value))
        else:
            self._bind(field.name, None if value is None else field.accept(value))

    def _give(self, key: str, text: str | None) -> None:
        if self.members is NONE:
            self.members = {}
        self.members[key] = text

    def _bind(self, name: str, value: object) -> None:
        if self.bound is NONE:
            self.bound = {}
        self.bound[name] = value
        if type(self.request) is Request:
            self.near = self.bound

    def __delitem__(self, key: str) -> None:
        if key not in self.wire():
            raise KeyError(key)
        self._hide(key)

    def _hide(self, key: str) -> None:
        field = registry().by_key.get(key)
        if field is None:
            self._give(key, None)
        else:
            self._bind(field.name, None)

    def __getitem__(self, key: str) -> object:
        return self.wire()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.wire())

    def __len__(self) -> int:
        return len(self.wire())

    # `dict` answers these from its own storage, which is empty; these ask the methods above.
    __contains__ = Mapping.__contains__
    __eq__ = Mapping.__eq__
    get = Mapping.get  # type: ignore[assignment]
    keys = Mapping.keys  # type: ignore[assignment]
    popitem = MutableMapping.popitem
    update = MutableMapping.update
    setdefault = MutableMapping.setdefault

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __reversed__(self) -> Iterator[str]:
        return reversed(self.wire())

    # Both are of one moment: other code iterates them while another thread writes to the request.

    def items(self) -> ItemsView[str, object]:  # type: ignore[override]
        """Return the pairs of now."""
        return ItemsView(self.wire())

    def values(self) -> ValuesView[object]:  # type: ignore[override]
        """Return the texts of now."""
        return ValuesView(self.wire())

    def pop(self, key: str, *default: object) -> object:
        """Hide *key*, also from what comes later, and return what it had, else the default given."""
        value = self.wire().get(key)
        if value is None and not default:
            raise KeyError(key)
        self._hide(key)
        return default[0] if value is None else value

    def clear(self) -> None:
        """Hide all there is."""
        for key in self.wire():
            self._hide(key)

    def __or__(self, other: object) -> dict[str, object]:  # type: ignore[override]
        return {**self, **other} if isinstance(other, Mapping) else NotImplemented

    def __repr__(self) -> str:
        return repr(dict(self.wire()))

    def __reduce__(self) -> tuple[type, tuple[dict[str, str]]]:
        return dict, (self.wire(),)
