"""
Every claim on every boundary.
"""

from __future__ import annotations

import sys
from typing import Any

import pytest

from tests.conformance import claims, rows_gevent
from tests.conformance.boundary import CLAIMS, Boundary
from tests.conformance.rows import ROWS


def cell(row: Boundary, claim: str) -> Any:
    """Return the parameters of one test."""
    missing = pytest.mark.skipif(sys.version_info < row.since, reason="this Python does not have it")
    return pytest.param(row, claim, id=f"{row.id}: {CLAIMS[claim]}".replace("`", ""), marks=[missing])


@pytest.mark.parametrize(
    ("boundary", "claim"), [cell(row, claim) for row in ROWS for claim in CLAIMS if claim not in row.without]
)
def test_claim_holds_on_boundary(boundary: Boundary, claim: str) -> None:
    claims.check(boundary, claim)


@pytest.mark.parametrize(("boundary", "claim"), [cell(*each) for each in rows_gevent.applying()])
def test_claim_holds_on_boundary_of_gevent(boundary: Boundary, claim: str) -> None:
    """Pass if it passed in the one process that runs all of gevent's."""
    assert "" == rows_gevent.outcomes()[f"{boundary.name}: {claim}"]
