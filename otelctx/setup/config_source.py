"""
Sources: the places that configuration comes from, and how an error names a spot in one of them.

A source is not checked yet: its table is whatever the file or variable said.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

# unquoted-key, TOML v1.0.0, "Keys"; other keys are shown in quotes.
_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True)
class Source:
    """
    One file or variable that says something.

    Attributes:
        label: the file's path or the variable's name.
        prefix: where in it our table stands, such as ``tool.otelctx``; empty when all of it is ours.
        table: what it says, unchecked.
        is_text: its values are text, as in a variable, and still to be converted.
    """

    label: str
    prefix: str
    table: Mapping[Any, object]
    is_text: bool = False

    def at(self, *keys: object) -> str:
        """
        Name the spot that *keys* lead to.

        >>> Source("otelctx.toml", "otelctx", {}).at("fields", "step", "max_length")
        'otelctx.toml: otelctx.fields.step.max_length'
        """
        return f"{self.label}: {'.'.join(part for part in (self.prefix, *map(_key, keys)) if part)}"


def found(value: object) -> str:
    """
    Say what *value* is, for an error. Text is shortened: a long one may be anything, also a secret.

    >>> found("ture"), found(True), found(0), found([1])
    ("'ture'", 'true', '0', 'a list')
    """
    if isinstance(value, str):
        return repr(value) if len(value) <= _SHOWN else f"{value[:_SHOWN]!r}…"
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value) if isinstance(value, (int, float)) else kind(value)


def kind(value: object) -> str:
    """
    Say of what kind *value* is, and nothing about its content.

    >>> kind("s3cret"), kind(5), kind({})
    ('a string', 'an integer', 'a table')
    """
    return _KINDS.get(type(value)) or f"a {type(value).__name__}"


_SHOWN: Final = 20

_KINDS: Final[Mapping[type, str]] = {
    bool: "true or false",
    dict: "a table",
    float: "a number",
    int: "an integer",
    list: "a list",
    str: "a string",
    type(None): "nothing",
}


def _key(key: object) -> str:
    text = str(key)
    return text if _BARE_KEY.fullmatch(text) else f'"{text}"'
