"""
Loops around what is measured: as little as Python allows, and the same for all contenders.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import repeat

from benchmarks.harness.case import Work


def repeated(call: Callable[[], object]) -> Work:
    """Return the work that is *call*, so many times."""

    def work(calls: int) -> None:
        for _ in repeat(None, calls):
            call()

    return work
