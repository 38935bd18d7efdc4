"""
Attributes: the KeyValue messages of one field of one message.

Nearly all of a span is attributes, and most are text. All that stands before the text depends on the key and on the
length only, so it is built once for each pair, and an attribute is then two lookups. The tables live as long as a
batch: nothing is stale, shared by threads, kept of a value, or without bound.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from otelctx.core.reports import report
from otelctx.export.otlp.values import key_value, text_header
from otelctx.export.otlp.wire import LENGTH, length_delimited, tag, utf8
from otelctx.native import compiled

_TEXT: Final = frozenset({str})


@compiled
class AttributeEncoder:
    """Encodes the attributes of each message of one kind in a batch."""

    __slots__ = ("_before_texts", "_known", "_tag")

    def __init__(self, field: int) -> None:
        """Encode as *field* of its message."""
        self._tag = tag(field, LENGTH)
        self._before_texts: dict[str, dict[int, bytes]] = {}
        # By type: 1 and True are the same key of a dict. Of tuples, those of text.
        self._known: dict[type, dict[str, dict[Any, bytes]]] = {int: {}, bool: {}, type(None): {}, tuple: {}}

    def add_to(self, parts: list[bytes], attributes: Mapping[str, Any]) -> None:
        """
        Append the fields of *attributes*, which nobody changes meanwhile: a `snapshot`.

        What cannot be encoded is left out, counted and reported.
        """
        before, known = self._before_texts, self._known
        for key, value in attributes.items():
            kind = type(value)
            if kind is str:
                try:
                    text = value.encode()
                    header = before[key][len(text)]
                except (KeyError, UnicodeEncodeError):
                    parts.append(self._text(key, value))
                else:
                    parts.append(header)
                    parts.append(text)
            elif kind in known and (kind is not tuple or _TEXT.issuperset(map(type, value))):
                try:
                    field = known[kind][key].get(value)
                except KeyError:
                    field = None
                parts.append(self._remembered(kind, key, value) if field is None else field)
            else:
                parts.append(self._field(key, value))

    def encode(self, attributes: Mapping[str, Any] | None) -> bytes:
        """Return the fields of *attributes*."""
        parts: list[bytes] = []
        self.add_to(parts, snapshot(attributes))
        return b"".join(parts)

    def _text(self, key: str, value: str) -> bytes:
        if type(key) is not str:
            return self._field(key, value)
        text = utf8(value)
        header = text_header(self._tag, key, len(text))
        self._before_texts.setdefault(key, {})[len(text)] = header
        return header + text

    def _remembered(self, kind: type, key: str, value: Any) -> bytes:
        field = self._known[kind].setdefault(key, {})[value] = self._field(key, value)
        return field

    def _field(self, key: str, value: Any) -> bytes:
        try:
            return length_delimited(self._tag, key_value(key, value))
        except Exception as error:  # noqa: BLE001 - a mapping or a key of others may raise anything
            report("export.attribute", "An attribute could not be encoded, and was left out: %s", type(error).__name__)
            return b""


def snapshot(attributes: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """
    Return *attributes* as they are now, as a plain dict if at all possible.

    The SDK's own mapping takes a lock to iterate and a call for each item; its `copy`, which a view on it has too, is
    one copy of the dict inside.
    """
    if attributes is None:
        return {}
    try:
        copied: Mapping[str, Any] = attributes.copy()  # type: ignore[attr-defined]
    except AttributeError:
        return dict(attributes)
    return copied
