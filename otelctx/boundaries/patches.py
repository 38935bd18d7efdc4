"""
Patches: functions of other classes replaced, once, and put back as they were.

Installing twice is installing once; uninstalling restores the very same object, unless somebody has patched on top.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Patch:
    """One attribute of one owner, replaced by what *make* returns for the original."""

    def __init__(self, owner: Any, name: str, make: Callable[[Any], Any]) -> None:
        """Prepare; nothing is replaced yet."""
        self._owner = owner
        self._name = name
        self._make = make
        self._original: Any = None
        self._replacement: Any = None

    def install(self) -> None:
        """Replace the attribute, if it is there and not replaced already."""
        if self._replacement is None and hasattr(self._owner, self._name):
            self._original = getattr(self._owner, self._name)
            self._replacement = self._make(self._original)
            setattr(self._owner, self._name, self._replacement)

    def uninstall(self) -> None:
        """Put the original back, if nobody else has replaced the attribute meanwhile."""
        if self._replacement is not None and getattr(self._owner, self._name) is self._replacement:
            setattr(self._owner, self._name, self._original)
            self._original = self._replacement = None
