"""
The committed table says what the cells of this run have given.
"""

from __future__ import annotations

from tests.conformance.table import Cells, committed, printed


def test_committed_table_is_what_the_cells_give(cells: Cells) -> None:
    """Cells that are not in this run count as held; the run that has them says otherwise."""
    assert committed().strip() == printed(cells.results).strip(), "run `make matrix` and commit docs/boundaries.md"
