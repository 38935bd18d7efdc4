"""
The log of the applications that are measured: formatted in full, and written to where nothing is kept.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

# What LoggingInstrumentor writes by default, and two fields.
RECIPE_FORMAT: Final = (
    "%(asctime)s %(levelname)s [%(name)s] [%(filename)s:%(lineno)d] "
    "[trace_id=%(otelTraceID)s span_id=%(otelSpanID)s] [%(request_id)s %(user_id)s] - %(message)s"
)
# The same line, by the names of the semantic conventions.
FORMAT: Final = RECIPE_FORMAT.replace("otelTraceID", "trace_id").replace("otelSpanID", "span_id")
ID_FORMAT: Final = "%(asctime)s %(levelname)s [%(name)s] [%(filename)s:%(lineno)d] [%(correlation_id)s] - %(message)s"
PLAIN_FORMAT: Final = "%(asctime)s %(levelname)s [%(name)s] [%(filename)s:%(lineno)d] - %(message)s"


def unseen() -> logging.Handler:
    """Return a handler that writes to where nothing is kept."""
    return logging.StreamHandler(Path(os.devnull).open("w", encoding="utf-8"))


def logger(formatter: str | logging.Formatter = PLAIN_FORMAT, handler: logging.Handler | None = None) -> logging.Logger:
    """Return the application's logger, which writes lines of that format."""
    made = logging.getLogger("shop")
    made.setLevel(logging.INFO)
    handler = handler or unseen()
    handler.setFormatter(logging.Formatter(formatter) if isinstance(formatter, str) else formatter)
    made.addHandler(handler)
    return made


def log_line(
    formatter: str | logging.Formatter = PLAIN_FORMAT, handler: logging.Handler | None = None
) -> Callable[[], None]:
    """Return what writes one line."""
    shop = logger(formatter, handler)

    def log() -> None:
        shop.info("order %s placed", 4711)

    return log
