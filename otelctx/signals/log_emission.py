"""
Emission: what a logger writes, handed to OpenTelemetry as its handler of logging does, in a fraction of the time.

Its record, its attributes and all that processors see are the SDK's own; here they are made at once, where the handler
and the SDK copy and check them three times. A record with an exception, or with anything that has to be cleaned, is
left to the handler, and so is every handler and SDK of another make.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterable
from dataclasses import fields
from inspect import signature
from time import time_ns
from types import ModuleType
from typing import Any, Final

from opentelemetry._logs import LogRecord, get_logger
from opentelemetry.attributes import BoundedAttributes
from opentelemetry.instrumentation.log_utils import std_to_otel
from opentelemetry.sdk._logs import Logger, LoggerProvider, ReadWriteLogRecord

from otelctx.boundaries.patches import Patch, Reversible
from otelctx.core.here import here, span_in

Emitting = Callable[[Any, logging.LogRecord], None]

_TEXT: Final = frozenset({str})
_PLAIN: Final = frozenset({str, int, bool, float, type(None)})
# What the handler gives a place of its own, under names that are no keywords.
_PLACED: Final = frozenset({"otel.event.name", "event.name", ""})
_SEVERITY_TEXTS: Final = {"WARNING": "WARN", "CRITICAL": "FATAL"}
# All that a record has, and what is around it.
_FIELDS: Final = {
    *("timestamp", "observed_timestamp", "context", "trace_id", "span_id", "trace_flags"),
    *("severity_text", "severity_number", "body", "attributes", "event_name", "exception"),
}
_FIELDS_AROUND: Final = ["log_record", "resource", "instrumentation_scope", "limits"]
# Of one handler; names of loggers are few, but a record may have any.
_MOST_LOGGERS: Final = 256


class EmittedRecord(LogRecord):
    """A record that was made here; batch processors copy each."""

    def __copy__(self) -> EmittedRecord:
        """Copy it in one go."""
        copied = object.__new__(EmittedRecord)
        vars(copied).update(vars(self))
        return copied


def _emitting(handler: Any, reserved: frozenset[str], original: Emitting) -> Emitting:
    @functools.wraps(original)
    def emit(self: Any, record: logging.LogRecord) -> None:
        if type(self) is not handler or record.exc_info or self._log_code_attributes or self._is_emitting.get():
            original(self, record)
            return
        # What is logged by what is done here is not emitted; there would be no end of it.
        token, made = self._is_emitting.set(True), None
        try:
            logger = _logger(self, record.name)
            if logger is not None:
                attributes = {name: value for name, value in vars(record).items() if name not in reserved}
                made = _made(self, logger, record, attributes)
                if made is not None:
                    logger.emit(made)
        finally:
            self._is_emitting.reset(token)
        if made is None:
            original(self, record)

    return emit


def _logger(handler: Any, name: str) -> Any:
    known: dict[str, Logger] = vars(handler).setdefault("_otelctx_loggers", {})
    logger = known.get(name)
    if logger is None:
        found = get_logger(name, logger_provider=handler._logger_provider)  # noqa: SLF001 - see docs/private-names.md
        # Another one, such as a proxy's, may not be the same the next time.
        if type(found) is not Logger:
            return None
        logger = found
        if len(known) < _MOST_LOGGERS:
            known[name] = logger
    return logger


def _made(
    handler: Any, logger: Any, record: logging.LogRecord, attributes: dict[str, Any]
) -> ReadWriteLogRecord | None:
    """Return what the SDK would make of *record*; None if it has to look at it itself."""
    limits = logger._log_record_limits  # noqa: SLF001 - see docs/private-names.md
    most = limits.max_log_record_attributes
    if not (
        _PLAIN.issuperset(map(type, attributes.values()))
        and _TEXT.issuperset(map(type, attributes))
        and _PLACED.isdisjoint(attributes)
        and limits.max_log_record_attribute_length is None
        and (most is None or len(attributes) <= most)
    ):
        return None
    bounded = BoundedAttributes(most, None, immutable=False)
    bounded._dict = attributes  # noqa: SLF001 - the SDK's class has no way to wrap a dict
    context = here()
    # A SpanContext is a tuple; its properties are calls.
    trace_id, span_id, _, flags, _, _ = span_in(context).get_span_context()
    made = object.__new__(EmittedRecord)
    made.timestamp = int(record.created * 1e9)
    made.observed_timestamp = time_ns()
    made.context = context
    made.trace_id = trace_id
    made.span_id = span_id
    made.trace_flags = flags
    made.severity_text = _SEVERITY_TEXTS.get(record.levelname, record.levelname)
    made.severity_number = std_to_otel(record.levelno)
    made.body = handler.format(record) if handler.formatter else record.getMessage()
    made.attributes = bounded
    made.event_name = made.exception = None
    writable = object.__new__(ReadWriteLogRecord)
    writable.log_record = made
    writable.resource = logger.resource
    writable.instrumentation_scope = logger.instrumentation_scope
    writable.limits = limits
    return writable


def is_known(handlers: ModuleType) -> bool:
    """Tell whether *handlers*, the module of the handler, and the SDK are made as those this was checked with."""
    return (
        hasattr(handlers, "_RESERVED_ATTRS")
        and hasattr(handlers.LoggingHandler, "_is_emitting")
        and "log_record_limits" in signature(LoggerProvider).parameters
        and vars(LogRecord()).keys() == _FIELDS
        and [field.name for field in fields(ReadWriteLogRecord)] == _FIELDS_AROUND
    )


def patches(handlers: ModuleType) -> Iterable[Reversible]:
    """Return those of *handlers*, `opentelemetry.instrumentation.logging.handler`; none if it is not known here."""
    if is_known(handlers):
        kind, reserved = handlers.LoggingHandler, frozenset(handlers._RESERVED_ATTRS)  # noqa: SLF001 - see above
        yield Patch(kind, "emit", functools.partial(_emitting, kind, reserved))
