"""
Boundaries in modules that an application may import or not: patched when they are imported, and only then.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Final

from wrapt import register_post_import_hook

from otelctx.boundaries import signal_handlers, threads
from otelctx.boundaries.patches import Patch

_BOUNDARIES: Final[dict[str, Callable[[ModuleType], tuple[Patch, ...]]]] = {
    "uvloop": signal_handlers.uvloop_handlers,
    "anyio._backends._asyncio": threads.anyio_workers,
    "trio._core._thread_cache": threads.trio_workers,
}

_hooked = False
_on = False
_patches: dict[str, tuple[Patch, ...]] = {}


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
            register_post_import_hook(_imported, name)


def uninstall() -> None:
    """Restore what those modules do by themselves."""
    global _on  # noqa: PLW0603 - once per process
    _on = False
    for patches in _patches.values():
        for patch in patches:
            patch.uninstall()


def _imported(module: ModuleType) -> None:
    _patches[module.__name__] = _BOUNDARIES[module.__name__](module)
    if _on:
        for patch in _patches[module.__name__]:
            patch.install()
