"""
Compiled twins of what runs for each request, span and log line: the same, in less time.

The Python source is what they do, and what runs where they are not: on a platform without a wheel of its own, in
an installation from source that was not asked to compile, without the GIL, in a second interpreter of one process,
and with ``OTELCTX_NATIVE=0``.
"""

from __future__ import annotations

import logging
import os
from functools import cache, update_wrapper
from importlib import import_module
from importlib.machinery import EXTENSION_SUFFIXES
from types import FunctionType, ModuleType
from typing import Any, Final, TypeVar

T = TypeVar("T")

SWITCH: Final = "OTELCTX_NATIVE"

_logger = logging.getLogger("otelctx")

# By the name of what is written in Python: that, and what is called in its place, which may be the same.
TWINS: Final[dict[str, tuple[Any, Any]]] = {}


def compiled(pure: T) -> T:
    """
    Return the compiled twin of *pure*, a function or a class, or *pure* where there is none.

    It is found by floor and name: of ``otelctx.core.state.with_layer`` it is ``otelctx.native.core.with_layer``.
    """
    of: Any = pure
    floor = of.__module__.split(".")[1]
    twin: Any = getattr(_twins(floor), of.__name__, pure)
    if twin is not pure and isinstance(pure, FunctionType):
        update_wrapper(twin, of)  # it is documented and pickled as what it does
    TWINS[f"{of.__module__}.{of.__qualname__}"] = (pure, twin)
    return twin  # type: ignore[no-any-return]


def compiled_floors() -> list[str]:
    """Return the floors that have twins which run here, as ``otelctx --version`` shows them."""
    return [floor for floor in _floors() if _twins(floor)]


@cache
def _twins(floor: str) -> ModuleType | None:
    if floor not in _floors():
        return None
    try:
        return import_module(f"{__name__}.{floor}")
    except ImportError as error:
        _logger.warning("The compiled part of otelctx cannot be loaded here, and Python does its work: %s", error)
        return None


@cache
def _floors() -> list[str]:
    """Return the floors whose compiled files are to be used: all that there are, or none."""
    # Read here and not in setup/: the floors below it are imported before that could say anything.
    if os.environ.get(SWITCH, "").strip().lower() in {"0", "false"}:
        return []
    try:
        with os.scandir(__path__[0]) as entries:
            times = {entry.name: entry.stat().st_mtime for entry in entries}
    except OSError:  # inside an archive, from which nothing compiled is loaded
        return []
    files = {name.partition(".")[0]: time for name, time in times.items() if name.endswith(EXTENSION_SUFFIXES[0])}
    sources = [time for name, time in times.items() if name.endswith((".pyx", ".pxd"))]
    # What is installed has no sources. In a checkout they may have changed, also by going to another commit.
    if files and sources and min(files.values()) < max(sources):
        _logger.warning(
            "The compiled part of otelctx is older than its sources, and Python does its work. "
            "'make native' compiles it again; %s=0 runs without it.",
            SWITCH,
        )
        return []
    return sorted(files)
