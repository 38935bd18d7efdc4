"""
The support table in docs/boundaries.md: printed from what the cells have given. `make matrix` writes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest

from tests.conformance.boundary import CLAIMS, Boundary
from tests.conformance.rows import ROWS
from tests.conformance.rows_gevent import ROWS as GEVENT_ROWS

DOCUMENT: Final = Path(__file__).parents[2] / "docs" / "boundaries.md"
BEGIN: Final = "<!-- the table: printed by `make matrix`, from the results of tests/conformance -->"
END: Final = "<!-- the end of the table -->"

HOLDS: Final = "✓"
FAILS: Final = "✗"
NOT_APPLICABLE: Final = "–"  # noqa: RUF001 - a dash as in tables

Results = Mapping[tuple[str, str], bool]


def printed(results: Results) -> str:
    """Return the table as Markdown; a cell that this Python cannot run counts as it does where it can be run."""
    rows = [*ROWS, *GEVENT_ROWS]
    reasons = list(dict.fromkeys(reason for row in rows for reason in row.without.values()))
    lines: list[str] = []
    for group in dict.fromkeys(row.group for row in rows):
        lines += ["", f"### {group[0].upper()}{group[1:]}", "", f"| | {' | '.join(CLAIMS.values())} |"]
        lines += ["|---" + "|:-:" * len(CLAIMS) + "|"]
        lines += [_line(row, results, reasons) for row in rows if row.group == group]
    notes = [f"{number}. {reason}" for number, reason in enumerate(reasons, 1)]
    return "\n".join([*lines, "", "### Why not", "", *notes, ""])


def _line(row: Boundary, results: Results, reasons: list[str]) -> str:
    since = "" if row.since == (3, 10) else f" (Python {row.since[0]}.{row.since[1]}+)"
    cells = [
        f"{NOT_APPLICABLE} [{reasons.index(row.without[claim]) + 1}](#why-not)"
        if claim in row.without
        else (HOLDS if results.get((row.id, claim), True) else FAILS)
        for claim in CLAIMS
    ]
    return f"| {row.name}{since} | {' | '.join(cells)} |"


def committed() -> str:
    """Return the table that is in the document."""
    return DOCUMENT.read_text("utf-8").partition(BEGIN)[2].partition(END)[0]


def write(results: Results) -> None:
    """Put the table of *results* into the document; the text around it stays."""
    before, _, rest = DOCUMENT.read_text("utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    DOCUMENT.write_text(f"{before}{BEGIN}\n{printed(results)}\n{END}{after}", "utf-8")


class Cells:
    """A plugin of pytest that keeps the result of every cell."""

    def __init__(self) -> None:
        """Begin with none."""
        self.results: dict[tuple[str, str], bool] = {}

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> object:
        """Keep what became of *item*, if it is a cell."""
        report = yield
        parameters = getattr(getattr(item, "callspec", None), "params", {})
        if "claim" in parameters and "boundary" in parameters and (call.when == "call" or report.failed):
            key = (parameters["boundary"].id, parameters["claim"])
            self.results[key] = self.results.get(key, True) and not report.failed
        return report


def main() -> int:
    """Run all cells and write their table."""
    cells = Cells()
    # Warnings are errors in tests; this one is that pytest begins late, after what this module needs.
    options = ["-q", "--tb=short", "-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning"]
    status = pytest.main([*options, "tests/conformance/test_cells.py"], [cells])
    write(cells.results)
    held = sum(cells.results.values())
    print(f"{held} of {len(cells.results)} cells hold; the table is in {DOCUMENT}")
    return int(status)
