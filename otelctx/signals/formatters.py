"""
Formatters for stdlib logging: JSON for machines, and a line for people.

Both show the fields and trace ids that the record carries. Neither needs anything but the standard library, and both
can be named in a ``dictConfig``.

No value loses the line: what cannot be written is replaced where it stands. And none makes a line of its own or moves
a terminal's cursor.
"""

from __future__ import annotations

import json
import logging
import re
from datetime import datetime, timezone
from typing import Any, Final

from otelctx.core.registry import registry
from otelctx.signals.log_records import SPAN_ID, TRACE_FLAGS, TRACE_ID

_STANDARD: Final = frozenset(
    {*logging.LogRecord("", 0, "", 0, "", None, None).__dict__, "message", "asctime", "taskName"}
)
_TRACE: Final = (TRACE_ID, SPAN_ID, TRACE_FLAGS)

_ENTRY: Final = frozenset({"time", "level", "logger", "message", "exception", "stack"})

_SURROGATES: Final = re.compile("[\ud800-\udfff]")  # of a pair's half UTF-8 knows nothing
# Unicode's controls (Cc) but the tab, its line and paragraph separators, half surrogate pairs, and what turns the
# direction of the text after it (UAX #9, 2.1 to 2.4).
_UNSAFE: Final = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")

_RESET: Final = "\x1b[0m"
_DIM: Final = "\x1b[2m"
_LEVEL_COLOURS: Final = {
    logging.DEBUG: _DIM,
    logging.WARNING: "\x1b[33m",
    logging.ERROR: "\x1b[31m",
    logging.CRITICAL: "\x1b[1;31m",
}


def _extras(record: logging.LogRecord) -> dict[str, Any]:
    """Return what a record carries beyond the standard attributes, declared fields first."""
    found = {str(key): value for key, value in vars(record).items() if key not in _STANDARD and value is not None}
    declared = {name: found.pop(name) for name in registry().by_name if name in found}
    trace: dict[str, Any] = {name: found.pop(name) for name in _TRACE if name in found}
    return {**declared, **found, **trace}


def _text(value: object) -> str:
    try:
        return str(value)
    except Exception:  # noqa: BLE001 - it is any class's own code, and a log line is no place to find its mistake
        return f"<unprintable {type(value).__name__} object>"  # as in tracebacks


class JsonFormatter(logging.Formatter):
    """
    One JSON object a line: time, level, logger, message, fields, extras, trace ids, exception.

    The time is RFC 3339 in UTC with microseconds. A value that JSON does not know becomes its `str`. A field or extra
    of the name of one of these stands under that name with an underscore. Half a surrogate pair becomes U+FFFD.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return *record* as one line of JSON."""
        moment = datetime.fromtimestamp(record.created, timezone.utc)
        extras = _extras(record)
        if not _ENTRY.isdisjoint(extras):
            extras = {f"{key}_" if key in _ENTRY else key: value for key, value in extras.items()}
        entry: dict[str, Any] = {
            "time": moment.isoformat(timespec="microseconds").replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **extras,
        }
        if record.exc_info and record.exc_info[0] is not None:
            entry["exception"] = self.formatException(record.exc_info)
        elif record.exc_text:
            entry["exception"] = record.exc_text
        if record.stack_info:
            entry["stack"] = self.formatStack(record.stack_info)
        return _one_line(entry)


def _one_line(entry: dict[str, Any]) -> str:
    try:
        line = _json(entry)
    except Exception:  # noqa: BLE001 - whatever the classes of the values do
        # Infinities and NaN, keys that are no text, structures without an end: what has no form in JSON.
        line = _json({key: value if _has_json(value) else _text(value) for key, value in entry.items()})
    return _SURROGATES.sub("\ufffd", line)


_json: Final = json.JSONEncoder(default=_text, ensure_ascii=False, allow_nan=False).encode


def _has_json(value: object) -> bool:
    try:
        _json(value)
    except Exception:  # noqa: BLE001 - the same
        return False
    return True


class ConsoleFormatter(logging.Formatter):
    r"""
    One readable line: time, level, logger, message, then fields as ``name=value``.

    A line break or control character of a message or value is shown as its escape, such as ``\n``, so that the lines of
    a log are those that were logged. An exception or stack follows on lines of its own.

    Args:
        colour: emphasise levels with ANSI colours; for a terminal.
    """

    def __init__(self, *, colour: bool = False) -> None:
        """Make a formatter, without colours unless asked for."""
        super().__init__()
        self._colour = colour

    def format(self, record: logging.LogRecord) -> str:
        """Return *record* as one line, and its exception on the lines after it."""
        clock = datetime.fromtimestamp(record.created).strftime("%H:%M:%S.%f")[:-3]  # noqa: DTZ006 - local, for people
        level = f"{record.levelname:<8}"
        message = _escaped(f"{record.name}: {record.getMessage()}")
        extras = " ".join(f"{key}={_quoted(value)}" for key, value in _extras(record).items() if key not in _TRACE)
        extras = _escaped(extras)
        if self._colour:
            level = f"{_LEVEL_COLOURS.get(record.levelno, '')}{level}{_RESET}"
            extras = f"{_DIM}{extras}{_RESET}" if extras else ""
        line = f"{clock} {level} {message}"
        if extras:
            line = f"{line}  {extras}"
        if record.exc_info and record.exc_info[0] is not None:
            line = f"{line}\n{_escaped_lines(self.formatException(record.exc_info))}"
        elif record.exc_text:
            line = f"{line}\n{_escaped_lines(record.exc_text)}"
        if record.stack_info:
            line = f"{line}\n{_escaped_lines(self.formatStack(record.stack_info))}"
        return line


def _escaped(text: str) -> str:
    return _UNSAFE.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def _escaped_lines(text: str) -> str:
    return "\n".join(map(_escaped, text.split("\n")))


def _quoted(value: object) -> str:
    text = _text(value)
    plain = text and text.isprintable() and not any(character in text for character in ' "=')
    return text if plain else json.dumps(text, ensure_ascii=False)
