"""
Findings: leaks and losses, each told once for each place, with what to do about it.

In the mode ``error`` they are logged as errors, raised where that breaks nothing, and kept for `check`.
"""

from __future__ import annotations

import logging
import threading
from typing import Final, Literal

from otelctx.detect.places import Place
from otelctx.errors import DetectionError, LeakError, LossError

Mode = Literal["warn", "error"]

# Then there is enough to do, and further ones are not told.
MAX_PLACES: Final = 1000

_logger = logging.getLogger("otelctx.detect")

_lock = threading.RLock()
_told: set[tuple[type[DetectionError], str, Place]] = set()
_kept: list[DetectionError] = []
_mode: Mode = "warn"


def set_mode(mode: Mode) -> None:
    """From now on only log findings as warnings, or treat them as errors."""
    global _mode  # noqa: PLW0603 - one setting
    _mode = mode


def leak(kind: str, place: Place) -> DetectionError | None:
    """Tell that *kind*, started at *place*, outlives its request. Return what to raise for it, where that is safe."""
    return _tell(
        LeakError(
            f"Leak: a {kind} that was started at {place} still runs in its request, which has ended. Wait for it "
            "before the request ends, or start it outside: contextvars.Context().run(…)"
        ),
        kind,
        place,
    )


def dirty(place: Place) -> DetectionError | None:
    """Tell that a job, submitted at *place*, has left its worker in a request."""
    return _tell(
        LeakError(
            f"Leak: a job that was submitted at {place} has left its worker in a request. What it attaches must be "
            "detached; wrap it with otelctx.wrap, then it cannot leave anything"
        ),
        "worker",
        place,
    )


def loss(what: str, kind: str, place: Place, here: Place) -> DetectionError | None:
    """Tell that *what* happened *here* in no request, in *kind* that a request has started at *place*."""
    return _tell(
        LossError(
            f"Loss: {what} at {here} is in no request, in a {kind} that a request has started at {place}. Wrap what it "
            "runs with otelctx.wrap"
        ),
        what,
        place,
    )


def check() -> None:
    """
    Raise for what was found since the last call, in the mode ``error``; a test calls this at its end.

    Raises:
        LeakError: work outlived its request.
        LossError: work that a request has started went on outside any.
    """
    with _lock:
        kept = _kept.copy()
        _kept.clear()
    if kept:
        raise type(kept[0])("\n".join(map(str, kept)))


def take_back(error: DetectionError) -> None:
    """Leave *error* out of what `check` raises: it is raised at once."""
    with _lock:
        _kept[:] = [kept for kept in _kept if kept is not error]


def forget() -> None:
    """Start anew: every place may be told once more."""
    with _lock:
        _told.clear()
        _kept.clear()


def _tell(error: DetectionError, what: str, place: Place) -> DetectionError | None:
    key = (type(error), what, place)
    with _lock:
        if key in _told or len(_told) >= MAX_PLACES:
            return None
        _told.add(key)
        if _mode == "error":
            _kept.append(error)
    if _mode == "warn":
        _logger.warning("%s", error)
        return None
    _logger.error("%s", error)
    return error
