"""
The committed table says what the committed records say, and the record of this Python what the cells of this run give.
"""

from __future__ import annotations

from tests.conformance import records
from tests.conformance.table import ALL_ROWS, Cells, committed, printed


def test_committed_table_is_printed_from_the_committed_records() -> None:
    """A row that no record knows is in it with question marks."""
    assert committed().strip() == printed(records.read()).strip(), "run `make matrix` and commit docs/"


def test_record_of_this_python_is_what_the_cells_give(cells: Cells) -> None:
    """Cells that are not in this run are not looked at; a Python without a record claims nothing."""
    record = records.read_of_this_python()
    found = {
        (row.id, claim): (record.mark(row, claim), records.mark_of(row, claim, cells.results))
        for row in ALL_ROWS
        for claim in records.CLAIMS
        if record is not None and (row.id, claim) in cells.results
    }
    assert {} == {cell: marks for cell, marks in found.items() if marks[0] != marks[1]}, "run `make matrix`"
