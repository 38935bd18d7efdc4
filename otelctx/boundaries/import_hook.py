"""
The import hook: tells who waits for a module when its code begins to run, and when it has run.

It finds and loads nothing itself, and leaves no trace on a module: when its code runs, its loader is its own again.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

if TYPE_CHECKING:
    from importlib.abc import Loader  # which takes longer to load than the rest of this

Around: TypeAlias = Callable[[ModuleType], AbstractContextManager[object]]

_lock = threading.Lock()
_waiting: Final[dict[str, list[Around]]] = {}
_running: Final[set[str]] = set()
_in_place = False


class _Here(threading.local):
    """What this thread looks for: a finder of others may ask all of them again."""

    def __init__(self) -> None:
        self.sought: set[str] = set()


_here: Final = _Here()


def when_imported(name: str, around: Around) -> None:
    """
    Call *around* with the module *name*, and run its code in the block that this returns, when it is first imported.

    Whoever imports it goes on after the block. An import that fails leaves the block by its exception, and the next one
    is the first again. If the module is imported already, the block is entered and left at once; if another thread is
    at it, when that is done.
    """
    with _lock:
        module = None if name in _running else sys.modules.get(name)
        if module is None:
            _waiting.setdefault(name, []).append(around)
            _put_in_place()
    if module is not None:
        with around(module):
            pass


def _put_in_place() -> None:
    global _in_place  # noqa: PLW0603 - once per process, and its children have it too
    if not _in_place and hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_renew)
    _in_place = True
    if _FINDER not in sys.meta_path:
        sys.meta_path.insert(0, _FINDER)


def _renew() -> None:
    global _lock  # noqa: PLW0603 - another thread, which is not here, may have had it at the fork
    _lock = threading.Lock()


class _Finder:
    """Asks the finders after it, and has the loader of what somebody waits for tell of it."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in _waiting or fullname in _here.sought:
            return None
        _here.sought.add(fullname)
        try:
            spec = self._find_after(fullname, path, target)
        finally:
            _here.sought.discard(fullname)
        # A namespace has no code that runs, and a loader of the old kind loads without being told.
        if spec is not None and hasattr(spec.loader, "exec_module"):
            spec.loader = cast("Loader", _Telling(spec.loader))
        return spec

    def _find_after(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None) -> ModuleSpec | None:
        finders = iter(sys.meta_path.copy())
        # If somebody has put another in our place, nobody is after us.
        for finder in finders:
            if finder is self:
                break
        for finder in finders:
            spec = finder.find_spec(fullname, path, target) if hasattr(finder, "find_spec") else None
            if spec is not None:
                return spec
        return None


class _Telling:
    """Stands for the loader of one module until that runs."""

    def __init__(self, loader: Any) -> None:
        self._loader = loader

    def __getattr__(self, name: str) -> Any:
        if name == "_loader":  # a copy that is being made has none yet
            raise AttributeError(name)
        return getattr(self._loader, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        module: ModuleType | None = self._loader.create_module(spec)
        return module

    def exec_module(self, module: ModuleType) -> None:
        spec = module.__spec__
        if spec is not None:
            spec.loader = self._loader
        module.__loader__ = self._loader
        name = module.__name__
        if sys.modules.get(name) is not module:
            # Run beside the module of that name, whose import still comes.
            self._loader.exec_module(module)
            return
        with ExitStack() as stack:
            with _lock:
                arounds = [*_waiting.get(name, ())]
                _running.add(name)
            try:
                # Left in the order in which they were asked for.
                for around in reversed(arounds):
                    stack.enter_context(around(module))
                self._loader.exec_module(module)
                with _lock:
                    late = _waiting.pop(name, arounds)[len(arounds) :]
            finally:
                with _lock:
                    _running.discard(name)
        for around in late:
            with around(module):
                pass


_FINDER: Final = _Finder()
