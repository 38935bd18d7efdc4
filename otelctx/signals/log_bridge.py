"""
The bridge to OTLP for loggers that do not propagate.

OpenTelemetry exports what reaches its handler on the root logger. uvicorn's, hypercorn's and gunicorn's access loggers
have handlers of their own and end there. What such a logger writes is handed to OpenTelemetry's handler as well; what
it does not write anywhere stays unwritten.

OpenTelemetry's own loggers end below the root on purpose: they speak of an export that goes wrong, and exporting that
too would have no end.
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


Calling = Callable[[logging.Logger, logging.LogRecord], None]


def _bridging(original: Calling) -> Calling:
    @wraps(original)
    def callHandlers(self: logging.Logger, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        original(self, record)
        if _ends_below_root(self):
            for handler in logging.root.handlers:
                if _is_opentelemetrys(handler) and record.levelno >= handler.level:
                    handler.handle(record)

    return callHandlers


PATCH: Final = Patch(logging.Logger, "callHandlers", _bridging)
