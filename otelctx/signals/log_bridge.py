"""
The bridge to OTLP for loggers that do not propagate.

OpenTelemetry exports what reaches its handler on the root logger. uvicorn's, hypercorn's and gunicorn's access loggers
have handlers of their own and end there. What such a logger writes is handed to OpenTelemetry's handler as well; what
it does not write anywhere stays unwritten.

OpenTelemetry's own loggers end below the root on purpose: they speak of an export that goes wrong, and exporting that
too would have no end.

A program that sets up no logging sees its warnings all the same: Python writes them itself where there is no handler,
and that OpenTelemetry has put one does not count.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from enum import Enum
from functools import wraps
from typing import Final

from otelctx.boundaries.patches import Patch

_OPENTELEMETRY: Final = "opentelemetry"


class _Does(Enum):
    """What a handler does with a record."""

    NOTHING = "nothing"
    WRITE = "write"
    EXPORT = "export"


# By class of handler; asked for each record.
_does: dict[type[logging.Handler], _Does] = {}
_MOST_CLASSES: Final = 256


def _find_out(kind: type[logging.Handler]) -> _Does:
    if issubclass(kind, logging.NullHandler):
        found = _Does.NOTHING
    else:
        is_opentelemetrys = kind.__name__ == "LoggingHandler" and kind.__module__.partition(".")[0] == _OPENTELEMETRY
        found = _Does.EXPORT if is_opentelemetrys else _Does.WRITE
    if len(_does) < _MOST_CLASSES:
        _does[kind] = found
    return found


def _met(logger: logging.Logger) -> tuple[set[_Does], bool]:
    """Return what the handlers do that records of *logger* meet, and whether those of the root are not among them."""
    met: set[_Does] = set()
    here: logging.Logger | None = logger
    while here is not None:
        for handler in here.handlers:
            kind = type(handler)
            met.add(_does[kind] if kind in _does else _find_out(kind))
        if not here.propagate:
            return met, here.parent is not None
        here = here.parent
    return met, False


def _is_opentelemetrys(logger: logging.Logger) -> bool:
    return logger.name.partition(".")[0] == _OPENTELEMETRY


_EXPORT_ALONE: Final = {_Does.EXPORT}

Calling = Callable[[logging.Logger, logging.LogRecord], None]


def _bridging(original: Calling) -> Calling:
    @wraps(original)
    def callHandlers(self: logging.Logger, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        original(self, record)
        for handler in logging.root.handlers:
            if _does.get(type(handler)) is not _Does.WRITE:
                break
        else:  # nothing at the root exports
            return
        met, ends_below_root = _met(self)
        if met == _EXPORT_ALONE:
            if logging.lastResort is not None and record.levelno >= logging.lastResort.level:
                logging.lastResort.handle(record)
        elif ends_below_root and _Does.WRITE in met and _Does.EXPORT not in met and not _is_opentelemetrys(self):
            for handler in logging.root.handlers:
                if _find_out(type(handler)) is _Does.EXPORT and record.levelno >= handler.level:
                    handler.handle(record)

    return callHandlers


PATCH: Final = Patch(logging.Logger, "callHandlers", _bridging)
