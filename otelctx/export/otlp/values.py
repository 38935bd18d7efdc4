"""
AnyValue: a value of any Python type, as OTLP writes attribute values and log bodies.

Every value has a form. What OTLP has no type for is written as its text, and so are integers of more than 64 bits.
Source: https://opentelemetry.io/docs/specs/otel/common/attribute-type-mapping/
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Final

from otelctx.core.reports import report
from otelctx.export.otlp.wire import FIXED64, LENGTH, VARINT, double, int64, length_delimited, tag, utf8, varint

# opentelemetry/proto/common/v1/common.proto
_TEXT: Final = tag(1, LENGTH)
_BOOL: Final = tag(2, VARINT)
_INT: Final = tag(3, VARINT)
_DOUBLE: Final = tag(4, FIXED64)
_ARRAY: Final = tag(5, LENGTH)
_KEY_VALUES: Final = tag(6, LENGTH)
_BYTES: Final = tag(7, LENGTH)
# The same number in ArrayValue and in KeyValueList.
_VALUES: Final = tag(1, LENGTH)
_KEY: Final = tag(1, LENGTH)
_VALUE: Final = tag(2, LENGTH)

# Receivers refuse a whole request with messages nested over 100 deep, and each level here is up to three messages.
MAX_DEPTH: Final = 24


def any_value(value: Any, depth: int = 0) -> bytes:  # noqa: PLR0911 - one for each type
    """Return the body of the AnyValue that says *value*, empty for None."""
    if value is None:
        return b""
    if isinstance(value, bool):
        return _BOOL + (b"\x01" if value else b"\x00")
    if isinstance(value, str):
        return length_delimited(_TEXT, utf8(value))
    if isinstance(value, int):
        return _INT + int64(value) if -(2**63) <= value < 2**63 else _as_text(value)
    if isinstance(value, float):
        return _DOUBLE + double(value)
    if isinstance(value, bytes):
        return length_delimited(_BYTES, value)
    if depth < MAX_DEPTH:
        if isinstance(value, (Sequence, AbstractSet)):
            items = [length_delimited(_VALUES, any_value(item, depth + 1)) for item in value]
            return length_delimited(_ARRAY, b"".join(items))
        if isinstance(value, Mapping):
            pairs = [length_delimited(_VALUES, key_value(str(key), item, depth + 1)) for key, item in value.items()]
            return length_delimited(_KEY_VALUES, b"".join(pairs))
    return _as_text(value)


def key_value(key: str, value: Any, depth: int = 0) -> bytes:
    """Return the body of a KeyValue."""
    name = length_delimited(_KEY, utf8(key)) if key else b""
    return name + length_delimited(_VALUE, any_value(value, depth))


def text_header(tag: bytes, key: str, length: int) -> bytes:
    """Return all of a KeyValue field that comes before a text of *length* bytes."""
    name = length_delimited(_KEY, utf8(key)) if key else b""
    value = _TEXT + varint(length)
    before = b"".join((name, _VALUE, varint(len(value) + length), value))
    return b"".join((tag, varint(len(before) + length), before))


def _as_text(value: object) -> bytes:
    try:
        return length_delimited(_TEXT, utf8(str(value)))
    except Exception as error:  # noqa: BLE001 - what an object's __str__ raises is of no more use than no value
        report("export.value", "A value of type %s has no text: %s", type(value).__name__, type(error).__name__)
        return b""
