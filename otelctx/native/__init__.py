"""
Compiled twins of what runs for each request, span and log line: the same, in less time.

The Python source is what they do, and what runs where they are not: on a platform without a wheel of its own, in
an installation from source that was not asked to compile, without the GIL, and with ``OTELCTX_NATIVE=0``.
"""

from __future__ import annotations

import logging
import os
from functools import cache
from importlib import import_module
from types import ModuleType
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
    twin = getattr(_twins(floor), of.__name__, pure)
    TWINS[f"{of.__module__}.{of.__qualname__}"] = (pure, twin)
    return twin


@cache
def _twins(floor: str) -> ModuleType | None:
    # Read here and not in setup/: the floors below it are imported before that could say anything.
    if os.environ.get(SWITCH) == "0":
        return None
    name = f"{__name__}.{floor}"
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        return None
    except ImportError as error:
        _logger.warning("The compiled part of otelctx cannot be loaded here, and Python does its work: %s", error)
        return None
