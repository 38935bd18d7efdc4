"""
Boundaries in modules that an application may import or not: patched when they are imported, and only then.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from types import ModuleType
from typing import Final, Protocol

from wrapt import register_post_import_hook

from otelctx.boundaries import greenlets, signal_handlers, threads, web


class _Reversible(Protocol):
    def install(self) -> None: ...

    def uninstall(self) -> None: ...


_BOUNDARIES: Final[dict[str, Callable[[ModuleType], tuple[_Reversible, ...]]]] = {
    "uvloop": signal_handlers.uvloop_handlers,
    "anyio._backends._asyncio": threads.anyio_workers,
    "trio._core._thread_cache": threads.trio_workers,
    "starlette.responses": web.streaming,
    "fastapi.routing": web.streaming,
    "fastapi.dependencies.utils": web.dependencies,
    "gevent": greenlets.spawning,
    "gevent.threadpool": greenlets.thread_pool,
}

_hooked = False
_on = False
_patches: dict[str, tuple[_Reversible, ...]] = {}


def install() -> None:
    """Patch what is imported already, and the rest when it is."""
    global _hooked, _on  # noqa: PLW0603 - once per process
    _on = True
    for patches in _patches.values():
        for patch in patches:
            patch.install()
    if not _hooked:
        _hooked = True
        for name in _BOUNDARIES:
            register_post_import_hook(partial(_imported, name), name)


def uninstall() -> None:
    """Restore what those modules do by themselves."""
    global _on  # noqa: PLW0603 - once per process
    _on = False
    for patches in _patches.values():
        for patch in patches:
            patch.uninstall()


def _imported(name: str, module: ModuleType) -> None:
    _patches[name] = _BOUNDARIES[name](module)
    if _on:
        for patch in _patches[name]:
            patch.install()
