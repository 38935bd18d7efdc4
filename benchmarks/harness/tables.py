"""
Tables on the terminal: the numbers of each contender, our ratio to it, the target, and the ratio of the last commit.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from rich.text import Text

from benchmarks.harness.case import Case, Group, is_rate
from benchmarks.harness.ratios import Spread, is_met
from benchmarks.harness.results import before

_UNITS: Final = {"cpu": "µs of CPU", "wall": "µs"}


def table(group: Group, python: str, cases: Mapping[str, Any], last: dict[str, Any]) -> Iterator[Text]:
    """Yield the lines for *cases*, which are as `results.summarised` makes them; none is wider than 80 columns."""
    yield Text(f"\n{group.name}, Python {python}", "bold")
    yield Text(_columns("", "median", "quartiles", "otelctx ÷", "target", "last"), "dim")
    for name, found in cases.items():
        case = group.cases[name]
        for measure, targets in case.measures.items():
            yield Text(f"{name}, {_UNITS.get(measure, measure)}{_over(case, measure)}")
            for contender, numbers in found["numbers"].items():
                ratio = found["ratios"][measure].get(contender)
                former = before(last, python, name, measure, contender)
                yield _line(measure, contender, numbers, ratio, targets.get(contender), former)


def _over(case: Case, measure: str) -> str:
    return f"; ratios over {case.over}" if case.over and measure == case.measure else ""


def _columns(name: str, median: str, quartiles: str, ratio: str, *more: str) -> str:
    target, last = more or ("", "")
    return f"{name:<30.30} {median:>7} {quartiles:>12} {ratio:>9} {target:>10} {last:>7}"


def _line(  # noqa: PLR0917
    measure: str,
    contender: str,
    numbers: Mapping[str, Any],
    ratios: Mapping[str, float] | None,
    target: float | None,
    last: Spread | None,
) -> Text:
    number = Spread(**numbers[measure])
    cells = [f"  {contender}", short(number.median), f"{short(number.low)}-{short(number.high)}"]
    if ratios is None:
        return Text(_columns(*cells, ""))
    ratio = Spread(**ratios)
    met = target is None or is_met(measure, ratio.median, target)
    said = "" if target is None else f"{'≥' if is_rate(measure) else '≤'} {target:g} {'met' if met else 'NOT'}"
    line = Text(_columns(*cells, f"{ratio.median:.3f}", said, ""), "" if met else "red")
    if last is not None:
        worse = (ratio.median > last.median) != is_rate(measure)
        style = "" if last.overlaps(ratio) else "red" if worse else "green"
        line = line[:-7] + Text(f"{last.median:7.3f}", style)
    return line


def short(number: float) -> str:
    """
    Return *number* with three figures.

    >>> short(1234.5), short(12.34), short(0.1234)
    ('1234', '12.3', '0.123')
    """
    if abs(number) >= 100:
        return f"{number:.0f}"
    return f"{number:.1f}" if abs(number) >= 10 else f"{number:.2g}"
