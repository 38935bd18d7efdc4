"""
Finalizers: what the garbage collector triggers runs in no request, rather than in whichever one it interrupts.

That is so for `__del__`, callbacks of weak references and `weakref.finalize`, wherever a collection runs them. Without
one they run where the last reference was dropped: `weakref.finalize` in no request there too, while Python has no way
to tell `__del__` and a plain weak reference's callback from that place, and they belong to who dropped it. Functions
of `atexit` run in what the main thread has at its end, which is what the program itself has set, and no request of it.

Collections are told of from Python 3.12 on. Before that one may begin in the middle of any allocation, also of one in
`ContextVar.set`, and to change a context variable there crashes the interpreter.
"""

from __future__ import annotations

import gc
import sys
import weakref
from collections.abc import Callable
from contextvars import Context
from functools import wraps
from typing import Any

from otelctx.boundaries.patches import Patch
from otelctx.core.state import Outside

_outside: Outside | None = None


def _collecting(phase: str, _: dict[str, int]) -> None:
    # Only one collection runs at a time, in one thread, and it ends where it has begun.
    if _outside is not None:
        if phase == "start":
            _outside.__enter__()
        else:
            _outside.__exit__()


def _finalize(original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def call(self: weakref.finalize[Any, Any], _: Any = None) -> Any:
        # Called by hand, it is a function like any other; by its weak reference, it is nobody's.
        return original(self, _) if _ is None else Context().run(original, self, _)

    return call


_FINALIZE = Patch(weakref.finalize, "__call__", _finalize)


def install() -> None:
    """Let finalizers run in no request."""
    global _outside  # noqa: PLW0603 - once per process
    _outside = _outside or Outside()
    _FINALIZE.install()
    if sys.version_info >= (3, 12) and _collecting not in gc.callbacks:
        gc.callbacks.append(_collecting)


def uninstall() -> None:
    """Restore what Python does by itself."""
    _FINALIZE.uninstall()
    if _collecting in gc.callbacks:
        gc.callbacks.remove(_collecting)
