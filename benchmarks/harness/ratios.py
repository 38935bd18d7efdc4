"""
Ratios: the numbers of one turn divided by each other, and their median over all turns.

Two numbers of one turn were taken under the same load, so their ratio holds on a busy machine; the numbers do not.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.harness.case import OURS, Case, is_rate


@dataclass(frozen=True)
class Spread:
    """The median of some numbers, and their quartiles."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, numbers: Sequence[float]) -> Spread:
        """Return that of *numbers*, of which there is at least one."""
        if len(numbers) == 1:
            return cls(numbers[0], numbers[0], numbers[0])
        low, median, high = statistics.quantiles(numbers, n=4, method="inclusive")
        return cls(median, low, high)

    def overlaps(self, other: Spread) -> bool:
        """Tell whether the two have something in common, and so may be the same."""
        return self.low <= other.high and other.low <= self.high


def summary(case: Case, turns: Mapping[str, Sequence[Mapping[str, float]]]) -> dict[str, Any]:
    """Return what is kept of a case: each number of each contender, and our ratio to each of the others."""
    numbers = {
        contender: {name: asdict(Spread.of([turn[name] for turn in taken])) for name in taken[0]}
        for contender, taken in turns.items()
        if taken
    }
    ratios = {
        measure: {
            contender: asdict(Spread.of(found))
            for contender in turns
            if contender not in {OURS, case.over} and (found := pairs(case, turns, contender, measure))
        }
        for measure in case.measures
    }
    return {"numbers": numbers, "ratios": ratios}


def pairs(
    case: Case, turns: Mapping[str, Sequence[Mapping[str, float]]], other: str, measure: str | None = None
) -> list[float]:
    """
    Return, turn by turn, our number divided by that of *other*.

    What `Case.over` takes is taken off both, of the measure of the case and of no other.
    """
    measure = measure or case.measure
    ours = [turn[measure] for turn in turns.get(OURS, ())]
    theirs = [turn[measure] for turn in turns[other]]
    base = [0.0] * len(ours)
    if case.over in turns and measure == case.measure:
        base = [turn[measure] for turn in turns[case.over]]
    return [(mine - off) / (its - off) for mine, its, off in zip(ours, theirs, base, strict=False) if its - off > 0]


def is_met(measure: str, ratio: float, target: float) -> bool:
    """Tell whether *ratio* of two numbers of *measure* reaches *target*."""
    return ratio >= target if is_rate(measure) else ratio <= target
