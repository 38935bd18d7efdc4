"""
Attribute values: from OTLP's AnyValue to JSON.

Every value keeps its JSON type; what JSON has no type for (bytes, NaN, infinities) becomes a string.
"""

from __future__ import annotations

import base64
import json
import math
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable

    from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

JsonValue: TypeAlias = "str | int | float | bool | list[JsonValue] | dict[str, JsonValue] | None"

MAX_TIME = 2**63 - 1
"""SQLite's integers are signed; a time after the year 2262 is stored as the last one that fits."""

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


def plain(value: AnyValue) -> JsonValue:  # noqa: PLR0911 -- one return for each kind of value
    """Give *value* as JSON has it: bytes as base64, NaN and the infinities by their names."""
    kind = value.WhichOneof("value")
    if kind == "string_value":
        return value.string_value
    if kind == "int_value":
        return value.int_value
    if kind == "bool_value":
        return value.bool_value
    if kind == "double_value":
        return finite(value.double_value)
    if kind == "array_value":
        return [plain(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        return mapping(value.kvlist_value.values)
    if kind == "bytes_value":
        return base64.b64encode(value.bytes_value).decode("ascii")
    return None


def mapping(attributes: Iterable[KeyValue]) -> dict[str, JsonValue]:
    """Give *attributes* as a mapping; of two with the same key the later one wins."""
    return {attribute.key: plain(attribute.value) for attribute in attributes}


def finite(number: float) -> float | str:
    """Give *number*, or its name where JSON has no number for it (as protobuf's JSON form does)."""
    if math.isfinite(number):
        return number
    return "NaN" if math.isnan(number) else "Infinity" if number > 0 else "-Infinity"


def encode(value: JsonValue) -> str:
    """Write *value* as compact JSON."""
    return _encode(value)


def identity(attributes: dict[str, JsonValue], key: str) -> str | None:
    """Read a request or user id from *attributes*; a number counts by its digits, an empty string as absent."""
    value = attributes.get(key)
    if value is None or value == "":
        return None
    return value if isinstance(value, str) else encode(value)


def moment(nanoseconds: int) -> int:
    """Fit an unsigned OTLP time into SQLite's integer."""
    return min(nanoseconds, MAX_TIME)
