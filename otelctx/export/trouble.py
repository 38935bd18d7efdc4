"""
Trouble with the disk: it is said, and everything goes on without the disk for as long as it lasts.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from otelctx.core.reports import report
from otelctx.export.database import StoreError
from otelctx.export.protocol import Signal


@contextmanager
def without_disk(signal: Signal) -> Iterator[None]:
    """End the block where the disk cannot be used, say so, and go on after it."""
    try:
        yield
    except (StoreError, OSError) as error:
        message = "The spool of %s cannot be used: %s; they wait in memory only, for as long as that is so"
        report(f"export.disk.{signal.name}", message, signal.items, error)
