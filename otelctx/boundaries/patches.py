"""
Patches: functions of other classes replaced, once, and put back as they were.

Installing twice is installing once; uninstalling restores the very same object, also beneath a wrapper of wrapt's that
an instrumentor of OpenTelemetry has put on top meanwhile. Under any other wrapper the replacement stays.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

_NOT_ITS_OWN: Final = object()


class Patch:
    """One attribute of one owner, replaced by what *make* returns for the original."""

    def __init__(self, owner: Any, name: str, make: Callable[[Any], Any]) -> None:
        """Prepare; nothing is replaced yet."""
        self._owner = owner
        self._name = name
        self._make = make
        self._original: Any = None
        self._own: Any = None
        self._replacement: Any = None

    def install(self) -> None:
        """Replace the attribute, if it is there and not replaced already."""
        if self._replacement is None and hasattr(self._owner, self._name):
            self._original = getattr(self._owner, self._name)
            self._own = vars(self._owner).get(self._name, _NOT_ITS_OWN)
            self._replacement = self._make(self._original)
            setattr(self._owner, self._name, self._replacement)

    def uninstall(self) -> None:
        """Put the original back; what another has put on top stays there, on the original."""
        if self._replacement is None:
            return
        if getattr(self._owner, self._name) is not self._replacement:
            if not self._uninstalled_below(vars(self._owner).get(self._name)):
                return
        elif self._own is _NOT_ITS_OWN:
            delattr(self._owner, self._name)
        else:
            setattr(self._owner, self._name, self._own)
        self._original = self._own = self._replacement = None

    def _uninstalled_below(self, wrapper: Any) -> bool:
        while wrapper is not None and getattr(wrapper, "__wrapped__", None) is not self._replacement:
            wrapper = getattr(wrapper, "__wrapped__", None)
        # A proxy has `__wrapped__` by its type and calls what it says; on a function it is a mere mention.
        if wrapper is None or not hasattr(type(wrapper), "__wrapped__"):
            return False
        wrapper.__wrapped__ = self._original
        return True


class Patches:
    """Several patches that are installed and uninstalled together, the last one first."""

    def __init__(self, *patches: Patch) -> None:
        """Prepare; nothing is replaced yet."""
        self._patches = patches

    def install(self) -> None:
        """Let this boundary carry the context."""
        for patch in self._patches:
            patch.install()

    def uninstall(self) -> None:
        """Restore what Python does by itself."""
        for patch in reversed(self._patches):
            patch.uninstall()
