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
from functools import wraps
from typing import Final

from otelctx.boundaries.patches import Patch

_OPENTELEMETRY: Final = "opentelemetry"


def _ends_below_root(logger: logging.Logger) -> bool:
    """Tell whether records of *logger* are written somewhere, but not by the root logger's handlers."""
    if logger.name.partition(".")[0] == _OPENTELEMETRY:
        return False
    written = False
    here: logging.Logger | None = logger
    while here is not None and here.parent is not None:
        written = written or any(not isinstance(handler, logging.NullHandler) for handler in here.handlers)
        if not here.propagate:
            return written
        here = here.parent
    return False


def _is_opentelemetrys(handler: logging.Handler) -> bool:
    kind = type(handler)
    return kind.__name__ == "LoggingHandler" and kind.__module__.partition(".")[0] == _OPENTELEMETRY


def _reaches_only_opentelemetry(logger: logging.Logger) -> bool:
    """Tell whether records of *logger* meet no handler but OpenTelemetry's, and do meet that."""
    found = False
    here: logging.Logger | None = logger
    while here is not None:
        if not all(_is_opentelemetrys(handler) for handler in here.handlers):
            return False
        found = found or bool(here.handlers)
        here = here.parent if here.propagate else None
    return found


Calling = Callable[[logging.Logger, logging.LogRecord], None]


def _bridging(original: Calling) -> Calling:
    @wraps(original)
    def callHandlers(self: logging.Logger, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        original(self, record)
        if logging.lastResort is not None and _reaches_only_opentelemetry(self):
            if record.levelno >= logging.lastResort.level:
                logging.lastResort.handle(record)
        elif _ends_below_root(self):
            for handler in logging.root.handlers:
                if _is_opentelemetrys(handler) and record.levelno >= handler.level:
                    handler.handle(record)

    return callHandlers


PATCH: Final = Patch(logging.Logger, "callHandlers", _bridging)
