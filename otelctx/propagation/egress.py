"""
The egress policy: which fields leave the process, and where to.

The first rule that names a destination decides. What no rule names gets the trace context and nothing else, and so does
what is sent without a known destination. A name is judged as it is written, never by what it resolves to.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from threading import Lock
from typing import Final

from otelctx.propagation.destination import OWN_NETWORKS, Destination, origin_of, parse
from otelctx.propagation.pattern import Pattern, parse_pattern

ALL: Final = frozenset({"*"})
NOTHING: Final[frozenset[str]] = frozenset()

_REMEMBERED: Final = 1024


@dataclass(frozen=True)
class Rule:
    """
    What may go to some destinations.

    Attributes:
        to: the destinations.
        fields: names of remote fields, and keys of baggage that no field declares; `ALL` is all of both.
        trace: whether the trace context goes there; nothing at all does unless it does.
        source: who says so, such as a file.
    """

    to: tuple[Pattern, ...]
    fields: frozenset[str]
    trace: bool = True
    source: str = ""

    def pattern_for(self, destination: Destination) -> Pattern | None:
        """Return the first pattern that means *destination*, or None."""
        return next((pattern for pattern in self.to if pattern.matches(destination)), None)


@dataclass(frozen=True)
class Decision:
    """
    What may go to one destination.

    Attributes:
        fields: as those of a rule.
        trace: whether anything goes there.
        rule: the one that decided, or None where no rule names the destination.
        is_named: somebody has said where it goes, be that clear or not.
    """

    fields: frozenset[str]
    trace: bool
    rule: Rule | None = None
    is_named: bool = True

    @property
    def everything(self) -> bool:
        """Whether every field may go."""
        return "*" in self.fields

    def allows(self, name: str) -> bool:
        """Tell whether the field *name* may go."""
        return name in self.fields or "*" in self.fields


# What belongs to whoever runs the service: this machine, its private networks, its cluster, and its programs.
OWN: Final = Rule(
    (
        *(Pattern(str(network), network=network) for network in OWN_NETWORKS),
        Pattern("names of one label", one_label=True),
        *map(parse_pattern, ("*.local", "*.internal", "*.svc", "*.svc.cluster.local", "process://*", "unix://*")),
    ),
    ALL,
    source="default",
)


class EgressPolicy:
    """
    Rules, in order, and what holds where none of them does.

    Attributes:
        rules: those that are configured, then the default ones.
        audit: whether it is counted that code sends by hand what no rule would.
        unknown: the decision where nobody says where it goes.
    """

    __slots__ = ("_decide_origin", "_elsewhere", "_unclear", "audit", "decide", "rules", "unknown")

    def __init__(
        self,
        rules: tuple[Rule, ...] = (),
        *,
        defaults: bool = True,
        trace: bool = True,
        unknown: frozenset[str] = NOTHING,
        audit: bool = False,
    ) -> None:
        """
        Put *rules* in force.

        Args:
            defaults: add the default rules, after the others.
            trace: what no rule names, and what is not known, gets the trace context.
            unknown: the fields that go where no destination is named, or none that is clear.
            audit: count what code sends by hand and no rule would.
        """
        self.rules = (*rules, OWN) if defaults else rules
        self.audit = audit
        self.unknown = Decision(unknown, trace or bool(unknown), is_named=False)
        self._unclear = Decision(unknown, trace or bool(unknown))
        self._elsewhere = Decision(NOTHING, trace)
        # Calls go to few hosts again and again; the bound is for those that go everywhere.
        self.decide: Callable[[Destination | None], Decision] = lru_cache(maxsize=_REMEMBERED)(self._decide)
        self._decide_origin: Callable[[str], Decision] = lru_cache(maxsize=_REMEMBERED)(self._decide_parsed)

    def decide_url(self, url: str) -> Decision:
        """
        Return what may go to *url*.

        Raises:
            DestinationError: it is not clear where that is.
        """
        origin = origin_of(url)
        return self._decide_parsed(url) if origin is None else self._decide_origin(origin)

    def _decide_parsed(self, url: str) -> Decision:
        return self._decide(parse(url))

    def _decide(self, destination: Destination | None) -> Decision:
        if destination is None:  # one that is not clear
            return self._unclear
        for rule in self.rules:
            if rule.pattern_for(destination) is not None:
                return Decision(rule.fields, rule.trace, rule)
        return self._elsewhere


_lock = Lock()
_active = EgressPolicy()


def policy() -> EgressPolicy:
    """Return the policy that is in force."""
    return _active


def replace(new: EgressPolicy) -> EgressPolicy:
    """Put *new* in force and return what was; for set-up and tests."""
    global _active
    with _lock:
        old, _active = _active, new
    return old
