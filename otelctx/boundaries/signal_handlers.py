"""
Signal handlers: they run in no request, whoever is interrupted and whoever registered them.

A signal is to the process. By itself `signal.signal` runs its handler in the middle of whichever request the main
thread is busy with, and a loop's `add_signal_handler` in the request that happened to register it.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from contextlib import suppress
from contextvars import Context
from functools import wraps
from types import ModuleType
from typing import Any

from otelctx.boundaries.patches import Patch, Patches


class _InNoRequest:
    """What is registered with Python in the place of a handler."""

    __slots__ = ("handler",)

    def __init__(self, handler: Callable[[int, Any], object]) -> None:
        self.handler = handler

    def __call__(self, signum: int, frame: Any) -> object:
        return Context().run(self.handler, signum, frame)


def _as_registered(handler: Any) -> Any:
    return handler.handler if isinstance(handler, _InNoRequest) else handler


def _signal(original: Callable[[int, Any], Any]) -> Callable[[int, Any], Any]:
    @wraps(original)
    def register(signalnum: int, handler: Any) -> Any:
        # Python's own handler raises KeyboardInterrupt, and others look whether it is that one.
        plain = not callable(handler) or handler is signal.default_int_handler
        return _as_registered(original(signalnum, handler if plain else _InNoRequest(handler)))

    return register


def _getsignal(original: Callable[[int], Any]) -> Callable[[int], Any]:
    @wraps(original)
    def getsignal(signalnum: int) -> Any:
        return _as_registered(original(signalnum))

    return getsignal


def _add_signal_handler(original: Callable[..., None]) -> Callable[..., None]:
    @wraps(original)
    def add_signal_handler(self: Any, sig: int, callback: Callable[..., object], *args: Any) -> None:
        # The loop copies the context of here for the handler.
        Context().run(original, self, sig, callback, *args)

    return add_signal_handler


_PATCHES = Patches(
    Patch(signal, "signal", _signal),
    Patch(signal, "getsignal", _getsignal),
    Patch(asyncio.SelectorEventLoop, "add_signal_handler", _add_signal_handler),
)


def uvloop_handlers(module: ModuleType) -> tuple[Patch, ...]:
    """Return what does the same for uvloop's event loop."""
    return (Patch(module.Loop, "add_signal_handler", _add_signal_handler),)


install = _PATCHES.install


def uninstall() -> None:
    """Restore what Python does by itself, for the handlers that are registered already as well."""
    _PATCHES.uninstall()
    for signalnum in signal.valid_signals():
        handler = signal.getsignal(signalnum)
        if isinstance(handler, _InNoRequest):
            with suppress(ValueError):  # only the main thread may; elsewhere it stays as it is
                signal.signal(signalnum, handler.handler)
