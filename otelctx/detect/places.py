"""
Places: a line of the application, as the cause of something that shows elsewhere.

A library that starts work does so for the application, whose line is the one that can be changed.
"""

from __future__ import annotations

import inspect
import sysconfig
from asyncio import Handle
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import CodeType, FrameType
from typing import Final

_OWN: Final = str(Path(__file__).parents[1])
_STANDARD: Final = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib")})
_INSTALLED: Final = tuple({sysconfig.get_path(name) for name in ("purelib", "platlib")})
_FROZEN: Final = "<frozen "
_LOOP: Final[CodeType | None] = getattr(getattr(Handle, "_run", None), "__code__", None)


@dataclass(frozen=True)
class Place:
    """A line of code."""

    file: str
    line: int
    function: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line} in {self.function}()"


def place_here() -> Place:
    """Return the line of the application that runs this, else of the library that does, else of whatever does."""
    nearest: FrameType | None = None
    frame = inspect.currentframe()
    outermost = frame
    # What an event loop runs was not started by whoever runs the loop.
    while frame is not None and frame.f_code is not _LOOP:
        outermost, file = frame, frame.f_code.co_filename
        if is_of_application(file):
            return _place(frame)
        if nearest is None and is_installed(file):
            nearest = frame
        frame = frame.f_back
    found = nearest or outermost
    return Place("?", 0, "?") if found is None else _place(found)


def is_called_by_application() -> bool:
    """Tell whether the application itself has called this, past Python's own modules."""
    frame = inspect.currentframe()
    while frame is not None:
        file = frame.f_code.co_filename
        if is_of_application(file):
            return True
        if is_installed(file):
            return False
        frame = frame.f_back
    return False


def place_of(code: CodeType) -> Place:
    """Return the first line of a function."""
    return Place(code.co_filename, code.co_firstlineno, code.co_name)


@lru_cache(maxsize=4096)
def is_installed(file: str) -> bool:
    """Tell whether *file* is of an installed package that is not this one."""
    return file.startswith(_INSTALLED) and not file.startswith(_OWN)


@lru_cache(maxsize=4096)
def is_of_application(file: str) -> bool:
    """Tell whether *file* is neither Python's nor of an installed package."""
    return not file.startswith((_OWN, _FROZEN, *_STANDARD, *_INSTALLED))


def _place(frame: FrameType) -> Place:
    return Place(frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name)
