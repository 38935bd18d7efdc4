"""
Greenlets of gevent: each runs in the context of whoever started it, and so does a job of its thread pool.

By itself a greenlet starts with an empty context. `gevent.spawn_raw`, links and the watchers of the hub's loop start
below what gevent lets others see; wrap their functions with `otelctx.wrap`. `monkey.patch_all` makes threads greenlets,
which carry the context as threads do.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import copy_context
from functools import wraps
from types import ModuleType
from typing import Any

from otelctx.boundaries.patches import Patch


class _Spawning:
    """What gevent calls for each greenlet that is started, in the place of whoever starts it."""

    def __init__(self, greenlet: Any) -> None:
        self._greenlet = greenlet

    def install(self) -> None:
        """Have it called; once is enough."""
        self._greenlet.add_spawn_callback(_started)

    def uninstall(self) -> None:
        """Have it not called."""
        self._greenlet.remove_spawn_callback(_started)


def _started(greenlet: Any) -> None:
    if greenlet.gr_context is None:
        greenlet.gr_context = copy_context()


def _spawn(original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def spawn(self: Any, func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return original(self, copy_context().run, func, *args, **kwargs)

    return spawn


def spawning(module: ModuleType) -> tuple[_Spawning, ...]:
    """Return what gives each greenlet the context of whoever started it."""
    return (_Spawning(module.Greenlet),)


def thread_pool(module: ModuleType) -> tuple[Patch, ...]:
    """Return what gives each job of gevent's own thread pools the context of whoever handed it over."""
    return (Patch(module.ThreadPool, "spawn", _spawn),)
