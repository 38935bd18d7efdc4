"""
The support table in docs/boundaries.md: printed from the records of all Pythons. `make matrix` writes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest

from tests.conformance import records
from tests.conformance.boundary import CLAIMS, Boundary
from tests.conformance.records import FAILS, HOLDS, NOT_APPLICABLE, NOT_RUN, Record
from tests.conformance.rows import ROWS
from tests.conformance.rows_gevent import ROWS as GEVENT_ROWS

DOCUMENT: Final = Path(__file__).parents[2] / "docs" / "boundaries.md"
BEGIN: Final = "<!-- the table: printed by `make matrix`, from the results of tests/conformance -->"
END: Final = "<!-- the end of the table -->"

ALL_ROWS: Final = (*ROWS, *GEVENT_ROWS)


def printed(found: Sequence[Record]) -> str:
    """Return the table as Markdown, after a line for each Python that it was run on."""
    reasons = list(dict.fromkeys(reason for row in ALL_ROWS for reason in row.without.values()))
    lines = ["", *(_line_of(record) for record in found)]
    for group in dict.fromkeys(row.group for row in ALL_ROWS):
        lines += ["", f"### {group[0].upper()}{group[1:]}", "", f"| | {' | '.join(CLAIMS.values())} |"]
        lines += ["|---" + "|:-:" * len(CLAIMS) + "|"]
        lines += [_row(row, found, reasons) for row in ALL_ROWS if row.group == group]
    notes = [f"{number}. {reason}" for number, reason in enumerate(reasons, 1)]
    return "\n".join([*lines, "", "### Why not", "", *notes, ""])


def _line_of(record: Record) -> str:
    marks = [record.mark(row, claim) for row in ALL_ROWS for claim in CLAIMS if claim not in row.without]
    counted = {
        "hold": marks.count(HOLDS),
        "fail": marks.count(FAILS),
        "are not run, since it does not have what they are about": marks.count(NOT_RUN),
    }
    told = ", ".join(f"{number:,} {what}" for what, number in counted.items() if number)
    with_packages = ", ".join(f"{name} {version}" for name, version in record.packages.items())
    return f"* {record.python}: {told}; with {with_packages}."


def _row(row: Boundary, found: Sequence[Record], reasons: list[str]) -> str:
    since = "" if row.since == (3, 10) else f" (Python {row.since[0]}.{row.since[1]}+)"
    return f"| {row.name}{since} | {' | '.join(_cell(row, claim, found, reasons) for claim in CLAIMS)} |"


def _cell(row: Boundary, claim: str, found: Sequence[Record], reasons: list[str]) -> str:
    if claim in row.without:
        return f"{NOT_APPLICABLE} [{reasons.index(row.without[claim]) + 1}](#why-not)"
    marks = {record.mark(row, claim) for record in found}
    return next((mark for mark in (FAILS, HOLDS) if mark in marks), NOT_RUN)


def committed() -> str:
    """Return the table that is in the document."""
    return DOCUMENT.read_text("utf-8").partition(BEGIN)[2].partition(END)[0]


def write(found: Sequence[Record]) -> None:
    """Put the table of *found* into the document; the text around it stays."""
    before, _, rest = DOCUMENT.read_text("utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    DOCUMENT.write_text(f"{before}{BEGIN}\n{printed(found)}\n{END}{after}", "utf-8")


class Cells:
    """A plugin of pytest that keeps the result of every cell."""

    def __init__(self) -> None:
        """Begin with none."""
        self.results: dict[tuple[str, str], bool] = {}

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> object:
        """Keep what became of *item*, if it is a cell that was run."""
        report = yield
        parameters = getattr(getattr(item, "callspec", None), "params", {})
        is_cell = "claim" in parameters and "boundary" in parameters
        if is_cell and not report.skipped and (call.when == "call" or report.failed):
            key = (parameters["boundary"].id, parameters["claim"])
            self.results[key] = self.results.get(key, True) and not report.failed
        return report


def main() -> int:
    """Run all cells, keep what this Python has given, and print the table of all Pythons."""
    cells = Cells()
    # Warnings are errors in tests; this one is that pytest begins late, after what this module needs.
    options = ["-q", "--tb=short", "-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning"]
    status = pytest.main([*options, "tests/conformance/test_cells.py"], [cells])
    records.write(records.of_this_python(ALL_ROWS, cells.results))
    write(records.read())
    held = sum(cells.results.values())
    print(f"{held} of {len(cells.results)} cells hold; the table is in {DOCUMENT}")
    return int(status)
