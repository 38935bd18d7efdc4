"""
Passages: one request or message on its way to one destination.

While a passage is open, every propagator that injects here writes what may go to that destination, and nothing over a
header that the application has set itself. Work that goes on after it has closed is on its way to nowhere known.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from contextvars import ContextVar, Token
from typing import Any, Final

from opentelemetry.propagators.textmap import CarrierT, Setter

from otelctx.core.reports import report
from otelctx.propagation.egress import Decision
from otelctx.propagation.unknown import undirected


class Passage:
    """
    A block in which the destination is known; one use at a time.

    Attributes:
        decision: what may go there.
        by_hand: headers that the application has set itself, in lower case.
        written: the headers that propagators have written, in lower case, with their texts.
        dropped: headers, in lower case, that are taken off first: of an earlier passage, or of an instrumentation.
    """

    __slots__ = ("_token", "by_hand", "decision", "dropped", "written")

    def __init__(self, decision: Decision) -> None:
        """Know what may go where this leads."""
        self.decision = decision
        self.by_hand: frozenset[str] = frozenset()
        self.written: dict[str, str] = {}
        self.dropped: frozenset[str] = frozenset()
        self._token: Token[Passage | None] | None = None

    @property
    def is_open(self) -> bool:
        """Whether it has been entered and not left."""
        return self._token is not None

    def __enter__(self) -> None:
        """Let propagators know the destination."""
        self._token = CURRENT.set(self)

    def __exit__(self, *_: object) -> None:
        """Let them forget it."""
        token, self._token = self._token, None
        try:
            if token is not None:
                CURRENT.reset(token)
        except ValueError:  # left in another context, where nothing was changed
            return

    def __setitem__(self, key: str, value: str) -> None:
        """Write the header *key*, unless it was set by hand; propagators of others do this, with no setter."""
        into_passage.set(self, key, value)

    def take_off(self, headers: MutableMapping[Any, Any]) -> None:
        """Take off *headers* what is to be taken off, however it is spelled."""
        if self.dropped:
            for name in [name for name in headers if text_of(name).lower() in self.dropped]:
                # Some mappings show a header once for each of its texts or spellings, and take all off together.
                if name in headers:
                    del headers[name]

    def write_to(self, headers: MutableMapping[Any, Any]) -> None:
        """Take off *headers* what is to be taken off, and put on what is written."""
        self.take_off(headers)
        # One by one: the `update` of httpx's headers takes three times as long.
        for name, text in self.written.items():
            headers[name] = text


def text_of(value: object) -> str:
    """Return *value*, a header's name or text in a form that some client has, as a text."""
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


CURRENT: Final[ContextVar[Passage | None]] = ContextVar("otelctx_passage", default=None)


class _IntoPassage(Setter[Any]):
    """Writes the headers of a passage, but for those that were set by hand."""

    def set(self, carrier: Any, key: str, value: str) -> None:
        name = key.lower()
        if name not in carrier.by_hand:
            carrier.written[name] = value


# Of a gate, which puts them where they belong when all are known.
into_passage: Final[Setter[Any]] = _IntoPassage()


class _Noting(Setter[Any]):
    __slots__ = ("_inner", "_passage")

    def __init__(self, passage: Passage, inner: Setter[Any]) -> None:
        self._passage = passage
        self._inner = inner

    def set(self, carrier: Any, key: str, value: str) -> None:
        name = key.lower()
        if name not in self._passage.by_hand:
            self._passage.written[name] = value
            self._inner.set(carrier, key, value)


def open_passage() -> Passage | None:
    """Return the passage that is open here, if one is."""
    passage = CURRENT.get()
    return passage if passage is not None and passage.is_open else None


def outbound(setter: Setter[CarrierT]) -> tuple[Decision, Setter[CarrierT]]:
    """Return what may leave here, and the setter that writes it."""
    passage = CURRENT.get()
    if passage is None or not passage.is_open:
        return undirected(), setter
    return passage.decision, setter if setter is into_passage else _Noting(passage, setter)


def unwritable(carrier: object) -> None:
    """Count and report that *carrier* could not be written."""
    report("inject.failed", "A carrier of type %s could not be written", type(carrier).__name__)
