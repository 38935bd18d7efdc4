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
from enum import IntEnum
from functools import wraps
from typing import Final

from otelctx.boundaries.patches import Patch
from otelctx.native import compiled

_OPENTELEMETRY: Final = "opentelemetry"


class Does(IntEnum):  # whose hash is no call
    """What a handler does with a record."""

    NOTHING = 0
    WRITE = 1
    EXPORT = 2


# By class of handler; asked for each record.
kinds: dict[type[logging.Handler], Does] = {}
_MOST_CLASSES: Final = 256


def _find_out(kind: type[logging.Handler]) -> Does:
    if issubclass(kind, logging.NullHandler):
        found = Does.NOTHING
    else:
        is_opentelemetrys = kind.__name__ == "LoggingHandler" and kind.__module__.partition(".")[0] == _OPENTELEMETRY
        found = Does.EXPORT if is_opentelemetrys else Does.WRITE
    if len(kinds) < _MOST_CLASSES:
        kinds[kind] = found
    return found


def _met(logger: logging.Logger) -> tuple[set[Does], bool]:
    """Return what the handlers do that records of *logger* meet, and whether those of the root are not among them."""
    met: set[Does] = set()
    here: logging.Logger | None = logger
    while here is not None:
        for handler in here.handlers:
            kind = type(handler)
            met.add(kinds[kind] if kind in kinds else _find_out(kind))
        if not here.propagate:
            return met, here.parent is not None
        here = here.parent
    return met, False


def _is_opentelemetrys(logger: logging.Logger) -> bool:
    return logger.name.partition(".")[0] == _OPENTELEMETRY


_EXPORT_ALONE: Final = {Does.EXPORT}


def bridge(logger: logging.Logger, record: logging.LogRecord) -> None:
    """Hand *record*, which the handlers of *logger* have had, to those that it does not reach by itself."""
    met, ends_below_root = _met(logger)
    if met == _EXPORT_ALONE:
        if logging.lastResort is not None and record.levelno >= logging.lastResort.level:
            logging.lastResort.handle(record)
    elif ends_below_root and Does.WRITE in met and Does.EXPORT not in met and not _is_opentelemetrys(logger):
        for handler in logging.root.handlers:
            if _find_out(type(handler)) is Does.EXPORT and record.levelno >= handler.level:
                handler.handle(record)


Calling = Callable[[logging.Logger, logging.LogRecord], None]


@compiled
def bridging(original: Calling) -> Calling:
    """Return what calls handlers as *original* does, and hands to OpenTelemetry's what would not reach it."""

    @wraps(original)
    def callHandlers(self: logging.Logger, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        original(self, record)
        for handler in logging.root.handlers:
            if kinds.get(type(handler)) is not Does.WRITE:
                bridge(self, record)
                return
        # Nothing at the root exports.

    return callHandlers


PATCH: Final = Patch(logging.Logger, "callHandlers", bridging)
