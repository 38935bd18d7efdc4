"""
Patches of modules that an application may import or not: made when one is imported, and only then.

What an application does not use is never imported, so installing them costs next to nothing. A module of a version
that lacks what is to be patched is imported all the same, and stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from types import ModuleType

from otelctx.boundaries.import_hook import when_imported
from otelctx.boundaries.patches import Patches, Reversible
from otelctx.core.reports import report


class OnImport:
    """
    Patches by the name of the module that they are of.
    """

    def __init__(self, makers: Mapping[str, Callable[[ModuleType], Iterable[Reversible]]]) -> None:
        """Prepare; nothing is imported or replaced yet."""
        self._makers = makers
        self._made: dict[str, Patches] = {}
        self._hooked = False
        self._on = False

    def install(self) -> None:
        """Patch what is imported already, and the rest when it is."""
        self._on = True
        for patches in self._made.values():
            patches.install()
        if not self._hooked:
            self._hooked = True
            for name in self._makers:
                when_imported(name, partial(self._importing, name))

    def uninstall(self) -> None:
        """Restore what those modules do by themselves."""
        self._on = False
        for patches in self._made.values():
            patches.uninstall()

    @contextmanager
    def _importing(self, name: str, module: ModuleType) -> Iterator[None]:
        yield
        try:
            self._made[name] = patches = Patches(*self._makers[name](module))
        except AttributeError as error:
            report("boundary.unknown_version", "%s stays as it is, for this version of it has no %r", name, error.name)
            return
        if self._on:
            patches.install()
