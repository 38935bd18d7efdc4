"""
Cases: what is measured, and who takes part.

A contender is a function that sets one side up, in a process of its own, and returns the work; the worker times that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import Final

from otelctx import native

# Does something so many times. What it returns are its own numbers, instead of the time it took.
Work = Callable[[int], Mapping[str, float] | None]
Contender = Callable[[], Work]

OURS: Final = "otelctx"
# The same without its compiled twins, where there are some.
ALONE: Final = "otelctx in Python"


class MissingError(Exception):
    """A contender cannot take part here; the message says what it would need."""


@dataclass(frozen=True)
class Case:
    """
    One thing that several contenders do.

    Attributes:
        name: says what one call of it does.
        measure: which of a turn's numbers counts; ``cpu`` and ``wall`` are microseconds for one call.
        targets: the most that our number may be of that of the contender, or, for a rate, the least.
        also: further numbers of a turn that count, each with its targets.
        over: the contender whose number is taken off all others before they are compared.
        quick: belongs to ``make bench-quick``.
        calls: how often the work is done in a turn; 0 for as often as fits the time.
        turns: the most of them; 0 for as many as are asked for.
    """

    name: str
    measure: str = "cpu"
    targets: Mapping[str, float] = field(default_factory=dict)
    also: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    over: str = ""
    quick: bool = True
    calls: int = 0
    turns: int = 0
    contenders: dict[str, Contender] = field(default_factory=dict)

    def contender(self, name: str) -> Callable[[Contender], Contender]:
        """Register the decorated function as the contender *name*."""

        def register(contender: Contender) -> Contender:
            self.contenders[name] = contender
            return contender

        return register

    @property
    def measures(self) -> dict[str, Mapping[str, float]]:
        """All numbers that count, with their targets."""
        return {self.measure: self.targets, **self.also}


def is_rate(measure: str) -> bool:
    """Tell whether more of *measure* is better."""
    return measure.endswith("/s")


@dataclass(frozen=True)
class Group:
    """
    Cases of one kind; a module of `benchmarks.cases` makes one of each.

    Attributes:
        shared: the cases of a contender share one process, since none sets anything up that others would notice.
    """

    name: str
    shared: bool = False
    cases: dict[str, Case] = field(default_factory=dict)

    def case(self, name: str, **options: object) -> Case:
        """Add a case; the options are the attributes of `Case`."""
        made = self.cases[name] = Case(name, **options)  # type: ignore[arg-type]
        return made


def group_of(name: str) -> Group:
    """Return the group that the module *name* of `benchmarks.cases` has made."""
    group: Group = import_module(f"benchmarks.cases.{name}").GROUP
    for case in group.cases.values():
        if any(case.measures.values()):
            case.contenders.setdefault(ALONE, _alone(case.contenders[OURS]))
    return group


def _alone(ours: Contender) -> Contender:
    # Its process is told not to use them.
    def contender() -> Work:
        if not any(Path(native.__path__[0]).glob(f"*{EXTENSION_SUFFIXES[0]}")):
            raise MissingError("nothing is compiled; run make native")
        return ours()

    return contender
