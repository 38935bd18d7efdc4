"""
Values: the types that a field may have, their text on the wire, and what telemetry shows of them.

One type has one text, whatever the language at the other end: what a value is sent as is what it is read from.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from enum import Enum, Flag
from functools import lru_cache
from typing import Any, Final
from uuid import UUID

from opentelemetry.util.types import AttributeValue

FieldValue = str | int | float | bool | Enum | UUID | datetime

# OTLP's integers have 64 bits (`AnyValue.int_value`).
INT64: Final = 2**63

_TRUE_FALSE: Final = {"true": True, "1": True, "false": False, "0": False}

# Stricter than Python's own readers, which take underscores, spaces and digits of other scripts: a peer in another
# language would read another value, or none.
_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,19}")
_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?")
# RFC 9562, section 4.
_UUID: Final = re.compile(r"[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}")
# RFC 3339, section 5.6: date-time. The offset is not optional.
_MOMENT: Final = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]([0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]{1,9}))?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)


def decoder_of(kind: type[FieldValue]) -> Callable[[str], FieldValue] | None:
    """
    Return what reads a *kind* from its text, raising where the text is not one, or None if no field can be a *kind*.

    Raises:
        ValueError: for an enumeration whose members cannot be told apart by their text.
    """
    decoder = _DECODERS.get(kind)
    if decoder is not None or not issubclass(kind, Enum):
        return decoder
    return _members_by_text(kind).__getitem__


# Its type says what a value is. A proxy that pretends to be something else is not asked: that may run anything.


def wire_text(value: Any) -> str:
    """
    Return the text of *value* in baggage and headers.

    That is ``true`` or ``false`` for a bool, a member's value for an Enum, RFC 3339 in UTC for a datetime, else `str`.

    >>> wire_text(True)
    'true'
    """
    if type(value) is str:
        return value
    if value is True:
        return "true"
    if value is False:
        return "false"
    kind = type(value)
    if issubclass(kind, Enum):
        return wire_text(value.value)
    if issubclass(kind, datetime):
        return _moment_text(value)
    return str.__str__(value) if issubclass(kind, str) else str(value)


def attribute_value(value: Any) -> AttributeValue | None:
    """Return *value* as telemetry may show it, or None: an object that is not a plain value stays in the process."""
    kind = type(value)
    if kind is str or kind is bool or kind is float:
        return value  # type: ignore[no-any-return]
    if issubclass(kind, Enum):
        return attribute_value(value.value)
    # A subclass is shown as what it is a kind of: its own type would not cross to another process, nor be OTLP's.
    if issubclass(kind, str):
        return str.__str__(value)
    if issubclass(kind, int):
        return int(value) if -INT64 <= value < INT64 else None
    if issubclass(kind, UUID | datetime):
        return wire_text(value)
    return float(value) if issubclass(kind, float) else None


def is_moment(value: datetime) -> bool:
    """Tell whether *value* is one moment: it knows its offset from UTC, and has a date there."""
    try:
        return value.utcoffset() is not None and value.astimezone(timezone.utc) is not None
    except Exception:  # noqa: BLE001 - a tzinfo is other people's code; the answer is no, and `Field.accept` reports it
        return False


def _moment_text(value: datetime) -> str:
    # A naive one can only be of an undeclared field, which does not travel; it is shown as it is.
    return value.astimezone(timezone.utc).isoformat().replace("+00:00", "Z") if is_moment(value) else _naive_text(value)


def _naive_text(value: datetime) -> str:
    return datetime.isoformat(value.replace(tzinfo=None))


def _integer(text: str) -> int:
    if not _INTEGER.fullmatch(text):
        raise ValueError(text)
    return int(text)


def _number(text: str) -> float:
    if not _NUMBER.fullmatch(text):
        raise ValueError(text)
    return float(text)


def _uuid(text: str) -> UUID:
    if not _UUID.fullmatch(text):
        raise ValueError(text)
    return UUID(text)


def _moment(text: str) -> datetime:
    found = _MOMENT.fullmatch(text)
    if found is None:
        raise ValueError(text)
    date, time, fraction, offset = found.groups()
    # In the one form that `fromisoformat` of every Python takes; Python has microseconds, more digits are cut off.
    offset = "+00:00" if offset in "Zz" else offset
    return datetime.fromisoformat(f"{date}T{time}.{(fraction or '0'):0<6.6}{offset}")


_DECODERS: Final[Mapping[type, Callable[[str], FieldValue]]] = {
    str: str,
    int: _integer,
    float: _number,
    bool: lambda text: _TRUE_FALSE[text.lower()],
    UUID: _uuid,
    datetime: _moment,
}


@lru_cache(maxsize=256)
def _members_by_text(kind: type[Enum]) -> Mapping[str, Enum]:
    if issubclass(kind, Flag):
        raise ValueError("a Flag's combinations have no text of their own; use an Enum")  # noqa: TRY004 - its kind of Enum
    if any(type(member.value) not in {str, int, float, bool} for member in kind):
        raise ValueError("the values of an Enum must be str, int, float or bool")
    by_text: dict[str, Enum] = {wire_text(member): member for member in kind}
    if len(by_text) < len(kind):
        raise ValueError("the values of an Enum must differ as text")
    return by_text
