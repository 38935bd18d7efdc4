"""
Watching: who is told when a request ends, and when a value is missing that code relies on.

Nobody, unless detection is on. Then it may raise where that is asked for, and only there.
"""

from __future__ import annotations

from typing import Protocol

from otelctx.core.fields import Field
from otelctx.core.request import Request


class Watcher(Protocol):
    """What detection does."""

    def request_ended(self, request: Request, *, may_raise: bool) -> None:
        """Look for what still runs in *request*; raise for it if *may_raise*."""

    def value_missing(self, field: Field) -> None:
        """Look whether it was lost that *field* has no value here; raise for it."""


_watcher: Watcher | None = None


def watch(watcher: Watcher | None) -> None:
    """Let *watcher* be told from now on, in place of another; None ends it."""
    global _watcher  # noqa: PLW0603 - one reference
    _watcher = watcher


def request_ended(request: Request | None, *, may_raise: bool = False) -> None:
    """
    Say that *request* is over.

    Args:
        may_raise: this is the code of who opened it, and no other exception is on its way.
    """
    if _watcher is not None and request is not None:
        _watcher.request_ended(request, may_raise=may_raise)


def value_missing(field: Field) -> None:
    """Say that code has asked for *field*, which is required, and there is no value."""
    if _watcher is not None:
        _watcher.value_missing(field)
