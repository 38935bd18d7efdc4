"""
OTLP/JSON: the JSON form of the protobuf messages, with the differences that OTLP defines.

Trace and span ids are hex, not base64; enum values are numbers; 64-bit integers are strings or numbers; unknown fields
are ignored. Source: OTLP specification, "JSON Protobuf Encoding".
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, TypeVar

from google.protobuf import json_format

from otelctx.collector.refusal import MALFORMED, TOO_LARGE, RefusedError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from google.protobuf.message import Message

M = TypeVar("M", bound="Message")

ID_KEYS = frozenset({"traceId", "spanId", "parentSpanId", "trace_id", "span_id", "parent_span_id"})
# Below these keys everything is a user's value, where a key such as "traceId" has no meaning for OTLP.
VALUE_KEYS = frozenset({"attributes", "body", "value", "filteredAttributes", "filtered_attributes"})
# A parsed JSON value takes far more memory than its text: "[]," is 3 bytes and becomes 64. What real exporters send
# has one value for about 15 bytes, so about 1,100,000 in 16 MiB.
MAX_VALUES = 1_500_000


def parse_json(body: bytes, message: type[M]) -> M:
    """
    Read *body* as the OTLP/JSON form of *message*.

    Raises:
        RefusedError: when it is not JSON or not this message (400), or when it would take too much memory (413).
    """
    values = body.count(b",") + body.count(b"{") + body.count(b"[")
    if values > MAX_VALUES:
        raise RefusedError(TOO_LARGE, f"The body holds more than {MAX_VALUES} values; send smaller batches")
    name = message.DESCRIPTOR.name
    try:
        tree = json.loads(body)
        if not isinstance(tree, dict):
            raise RefusedError(MALFORMED, f"The body is JSON but not an object; send {name}")
        for node in objects_of(tree):
            for key in ID_KEYS & node.keys():
                node[key] = hex_to_base64(node[key])
        return json_format.ParseDict(tree, message(), ignore_unknown_fields=True)
    except (json_format.Error, ValueError, TypeError, AttributeError, RecursionError) as error:
        # The parser's own words may quote the body, so they stay out of the answer.
        raise RefusedError(MALFORMED, f"The body is not valid OTLP/JSON; send {name}") from error


def objects_of(tree: dict[str, object]) -> Iterator[dict[str, object]]:
    """Give every object of *tree* that OTLP itself defines, users' values left out."""
    waiting: list[object] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            yield node
            waiting.extend(child for key, child in node.items() if key not in VALUE_KEYS)
        elif isinstance(node, list):
            waiting.extend(node)


def hex_to_base64(value: object) -> object:
    """
    Turn an id's hex into the base64 that protobuf's JSON form wants; what is no string is left to its checks.

    >>> hex_to_base64("00f067aa0ba902b7")
    'APBnqgupArc='
    """
    if not isinstance(value, str):
        return value
    return base64.b64encode(bytes.fromhex(value)).decode("ascii")
