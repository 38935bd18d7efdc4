"""
The generated parts of ``docs/performance.md``: the targets with what was measured, and a request in absolute numbers.

They are made of the committed results and of nothing else, and a test says so.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from benchmarks.harness.case import OURS, Group, is_rate
from benchmarks.harness.ratios import Spread, is_met
from benchmarks.harness.results import RESULTS, read
from benchmarks.harness.rounds import ROOT
from benchmarks.harness.tables import short

PAGE: Final = ROOT / "docs" / "performance.md"
PLOT: Final = ROOT / "docs" / "performance.svg"
TRACED: Final = "request: traced, one log line"
# The one that the targets are about.
SERIES: Final = "3.13"
_PART: Final = re.compile(r"(<!-- begin (\w+) -->\n).*?(<!-- end \2 -->)", re.DOTALL)


class Row(NamedTuple):
    """
    One target, and the ratio that was measured.

    Attributes:
        what: the case.
        measure: what was compared.
        against: the contender.
        target: the most or, for a rate, the least that the ratio may be.
        ratio: as measured.
        met: whether it reaches the target.
    """

    what: str
    measure: str
    against: str
    target: float
    ratio: Spread
    met: bool


def rows(groups: Iterable[Group], folder: Path = RESULTS) -> Iterator[Row]:
    """Yield all targets that were measured."""
    for group in groups:
        kept = read(folder / f"{group.name}.json").get(SERIES, {}).get("cases", {})
        for name, case in group.cases.items():
            for measure, targets in case.measures.items():
                ratios = kept.get(name, {}).get("ratios", {}).get(measure, {})
                for against, target in targets.items():
                    if against not in ratios:
                        continue
                    ratio = Spread(**ratios[against])
                    yield Row(
                        f"{group.name}: {name}",
                        measure,
                        against,
                        target,
                        ratio,
                        is_met(measure, ratio.median, target),
                    )


def targets(groups: Iterable[Group], folder: Path = RESULTS) -> str:
    """Return the table of the targets."""
    lines = ["| what | number | against | target | measured (quartiles) | |", "|---|---|---|---:|---:|---|"]
    for row in rows(groups, folder):
        target = f"{'≥' if is_rate(row.measure) else '≤'} {row.target:g}"
        measured = f"{short(row.ratio.median)} ({short(row.ratio.low)}-{short(row.ratio.high)})"
        met = "met" if row.met else "**not met**"
        lines.append(f"| {row.what} | {_named(row.measure)} | {row.against} | {target} | {measured} | {met} |")
    return "\n".join(lines) + "\n"


def numbers(group: Group, folder: Path = RESULTS) -> str:
    """Return the table of all that was measured of *group*: medians, and our ratio to each."""
    kept = read(folder / f"{group.name}.json").get(SERIES, {}).get("cases", {})
    lines = ["| what | who | median (quartiles) | otelctx ÷ it |", "|---|---|---:|---:|"]
    for name, case in group.cases.items():
        found: Mapping[str, Any] = kept.get(name, {"numbers": {}})
        for contender, taken in found["numbers"].items():
            spread = Spread(**taken[case.measure])
            ratio = found["ratios"][case.measure].get(contender)
            said = "" if ratio is None else short(ratio["median"])
            amount = f"{short(spread.median)} ({short(spread.low)}-{short(spread.high)})"
            lines.append(f"| {name} | {contender} | {amount} | {said} |")
    return "\n".join(lines) + "\n"


def shares(folder: Path = RESULTS) -> str:
    """Return the table of where the time of a traced request goes, by hand and by otelctx."""
    kept = read(folder / "shares.json").get(SERIES, {}).get(TRACED, {})
    who = ("hand recipe", OURS)
    layers = dict.fromkeys(layer for one in who for layer in kept.get(one, {}))
    lines = [f"| {layer} | {' | '.join(short(kept.get(one, {}).get(layer, 0.0)) for one in who)} |" for layer in layers]
    totals = " | ".join(short(sum(kept.get(one, {}).values())) for one in who)
    return "\n".join((f"| layer | {' | '.join(who)} |", "|---|---:|---:|", *lines, f"| all | {totals} |")) + "\n"


def parts(groups: Iterable[Group], folder: Path = RESULTS) -> dict[str, str]:
    """Return all generated parts by name."""
    listed = list(groups)
    return {"targets": targets(listed, folder), "shares": shares(folder)} | {
        group.name: numbers(group, folder) for group in listed
    }


def filled(page: str, parts: Mapping[str, str]) -> str:
    """Return *page* with what is between the marks of each of *parts* replaced."""
    return _PART.sub(lambda found: f"{found[1]}{parts.get(found[2], '')}{found[3]}", page)


def _named(measure: str) -> str:
    return {"cpu": "CPU"}.get(measure, measure)
