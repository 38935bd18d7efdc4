"""
Patience: how long the end of a process waits for the collector, for all signals together.

The SDK shuts its providers down one after the other; each waiting for itself would add up.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

# What the end of a process takes beside waiting: writing to disk, and the interpreter's own end.
_RESERVED_SECONDS: Final = 0.5


class Patience:
    """What was waited already; a forked process starts anew."""

    def __init__(self) -> None:
        """Have waited for nothing."""
        self.spent = 0.0

    @contextmanager
    def waiting(self, seconds: float) -> Iterator[float]:
        """Give how long the block may wait if all is to be over within *seconds*, and count what it takes."""
        began = time.monotonic()
        try:
            yield max(0.0, seconds - _RESERVED_SECONDS - self.spent)
        finally:
            self.spent += time.monotonic() - began


PATIENCE: Final = Patience()
