"""
The budget of bytes in flight: one bound on all bodies between their first byte and their commit.

A reservation that does not fit is refused at once, nothing waits for room, so slow senders cannot starve quick ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from otelctx.collector.refusal import BUSY, RefusedError

if TYPE_CHECKING:
    from typing_extensions import Self


class Budget:
    """
    Bytes that all requests together may hold.

    Used on the event loop only, so it needs no lock.
    """

    def __init__(self, limit: int) -> None:
        """Allow *limit* bytes."""
        self.limit = limit
        self.used = 0

    def open(self) -> Reservation:
        """Start a reservation of nothing; leave its ``with`` block to give everything back."""
        return Reservation(self)


class Reservation:
    """The share of one request."""

    def __init__(self, budget: Budget) -> None:
        """Take nothing yet from *budget*."""
        self._budget = budget
        self._held = 0

    def take(self, size: int) -> None:
        """
        Hold *size* bytes more.

        Raises:
            RefusedError: when the collector already holds as much as it may (503, try again).
        """
        if self._budget.used + size > self._budget.limit:
            raise RefusedError(BUSY, "The collector is busy; try again in a second")
        self._budget.used += size
        self._held += size

    def __enter__(self) -> Self:
        """Give the reservation itself."""
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Give back everything that was taken."""
        self._budget.used -= self._held
        self._held = 0
