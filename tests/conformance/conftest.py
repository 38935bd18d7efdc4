"""
The kit runs with everything installed, as `otelctx run` does it, and each cell's result is kept for the table.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from otelctx.setup import install
from tests.conformance.table import Cells


@pytest.fixture(scope="module", autouse=True)
def _installed() -> Iterator[None]:
    install.install()
    yield
    install.uninstall()


_cells = Cells()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Keep what became of each cell."""
    return (yield from _cells.pytest_runtest_makereport(item, call))  # type: ignore[misc,func-returns-value]


@pytest.fixture
def cells() -> Cells:
    """The results of the cells that have run so far."""
    return _cells
