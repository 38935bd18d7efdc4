"""
Patches: functions of other classes replaced, once, and put back as they were.

Installing twice is installing once; uninstalling restores the very same object. A replacement always goes beneath the
proxies of wrapt that OpenTelemetry's instrumentors put on top. These take away whatever is outermost when they are
uninstrumented; so in every order each takes away its own. Under a wrapper of any other kind the replacement stays.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol


class Reversible(Protocol):
    """What is installed and uninstalled; either of them twice is once."""

    def install(self) -> None: ...  # noqa: D102 - the interface

    def uninstall(self) -> None: ...  # noqa: D102 - the interface


def proxies_of(owner: Any, name: str) -> list[Any]:
    """Return the proxies that others have put on an attribute that *owner* has by itself, the outermost first."""
    found: list[Any] = []
    there = vars(owner).get(name)
    # A proxy has `__wrapped__` by its type and calls what it says; on a function it is a mere mention.
    while hasattr(type(there), "__wrapped__"):
        found.append(there)
        there = there.__wrapped__
    return found


class Patch:
    """One attribute of one owner, replaced by what *make* returns for the original."""

    def __init__(self, owner: Any, name: str, make: Callable[[Any], Any]) -> None:
        """Prepare; nothing is replaced yet."""
        self._owner = owner
        self._name = name
        self._make = make
        self._original: Any = None
        self._replacement: Any = None
        self._inherited = False

    def install(self) -> None:
        """Replace the attribute, if it is there and not replaced already."""
        if self._replacement is not None or not hasattr(self._owner, self._name):
            return
        self._inherited = self._name not in vars(self._owner)
        proxies = proxies_of(self._owner, self._name)
        self._original = proxies[-1].__wrapped__ if proxies else getattr(self._owner, self._name)
        self._replacement = self._make(self._original)
        self._put(self._replacement, proxies)

    def uninstall(self) -> None:
        """Put the original back, if the replacement can be reached."""
        proxies = proxies_of(self._owner, self._name)
        found = proxies[-1].__wrapped__ if proxies else vars(self._owner).get(self._name)
        if self._replacement is None or found is not self._replacement:
            return
        if self._inherited and not proxies:
            delattr(self._owner, self._name)
        else:
            self._put(self._original, proxies)
        self._original = self._replacement = None

    def _put(self, function: Any, proxies: list[Any]) -> None:
        if proxies:
            proxies[-1].__wrapped__ = function
        else:
            setattr(self._owner, self._name, function)


class Patches:
    """Several patches, or other reversible things, that are installed together and uninstalled last one first."""

    def __init__(self, *patches: Reversible) -> None:
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
