"""
The benchmarks, as one command: `python -m benchmarks`, or `make bench` and `make bench-quick`.
"""

from __future__ import annotations

import argparse
import sys

from rich.console import Console

from benchmarks.harness.case import ALONE, Group, group_of
from benchmarks.harness.page import PAGE, PLOT, filled, parts, rows
from benchmarks.harness.plot import plot
from benchmarks.harness.results import committed, keep, summarised
from benchmarks.harness.rounds import Effort, measure
from benchmarks.harness.tables import table

GROUPS = ("store", "codec", "log", "span", "request", "server", "export", "growth", "start")
QUICK = Effort(turns=7, seconds=0.02)
WHOLE = Effort(turns=21, seconds=0.05)


def chosen(group: Group, words: list[str], *, quick: bool) -> list[str]:
    """Return the cases of *group* that one of *words* is part of the name of; all where there are no words."""
    return [
        name
        for name, case in group.cases.items()
        if (case.quick or not quick or words) and (not words or any(word in f"{group.name}/{name}" for word in words))
    ]


def main() -> None:
    """Measure, print the tables, and keep the results unless it was quick."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("word", nargs="*", help="part of GROUP/CASE; only these cases")
    parser.add_argument("--python", action="append", help="an interpreter to measure with; may be given repeatedly")
    parser.add_argument(
        "--quick", action="store_true", help="the cases with targets, in under two minutes; keeps nothing"
    )
    parser.add_argument("--turns", type=int, help="of each contender")
    parser.add_argument("--list", action="store_true", help="print the names of all cases and contenders")
    parser.add_argument("--page", action="store_true", help="measure nothing; write docs/performance.*")
    options = parser.parse_args()
    if options.page:
        write_page()
        return
    effort = QUICK if options.quick else WHOLE
    if options.turns:
        effort = Effort(options.turns, effort.seconds)
    console = Console(width=None if sys.stdout.isatty() else 80)
    for group in map(group_of, GROUPS):
        names = chosen(group, options.word, quick=options.quick)
        if options.quick:
            for case in group.cases.values():
                case.contenders.pop(ALONE, None)
        if options.list:
            for name in names:
                console.print(f"{group.name}/{name}: {', '.join(group.cases[name].contenders)}", soft_wrap=True)
            continue
        for python in options.python or [sys.executable]:
            if names:
                run(group, names, python, effort, console, kept=not options.quick)


def run(group: Group, names: list[str], python: str, effort: Effort, console: Console, *, kept: bool) -> None:
    """Measure the cases *names*, and show them beside the last commit's."""
    with console.status("") as status:
        measured = measure(python, group, names, effort, status.update)
    found = summarised(group, measured, effort)
    for line in table(group, measured.python, found, committed(group.name)):
        console.print(line)
    for who, why in measured.missing.items():
        console.print(f"Without {who}: {why}")
    if kept:
        keep(group.name, measured.python, found)
        write_page()


def write_page() -> None:
    """Fill the page and draw the plot that are made of the results."""
    groups = [group_of(name) for name in GROUPS]
    PAGE.write_text(filled(PAGE.read_text("utf-8"), parts(groups)), "utf-8")
    PLOT.write_text(plot(rows(groups)), "utf-8")


if __name__ == "__main__":
    main()
