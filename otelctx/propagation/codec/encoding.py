"""
Encoding: one ``baggage`` header of what may leave the process.

Members leave whole or not at all; when not all fit, a marker says how many are missing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import quote

from otelctx.core.registry import registry
from otelctx.core.reports import report
from otelctx.propagation.codec.grammar import MAX_BYTES, MAX_MEMBERS, SAFE, is_key, is_plain

# The key of the marker: its value is how many members did not fit, here and in the services before.
DROPPED: Final = "otelctx-dropped"

# More than this is not believed, nor counted further.
_MOST: Final = 999_999_999


def encode(
    members: Mapping[str, str], properties: Mapping[str, tuple[str, str]] | None = None
) -> tuple[str, Sequence[str]]:
    """
    Return *members* as one header, and the keys of those that did not fit it.

    When not everything fits the limits, fields of lower priority are left out first, whole members only. The header
    then has a marker with their number, and they are counted and reported. Without members it is an empty text.

    Args:
        members: by key, texts.
        properties: by key, the text that properties came with, and the properties as `decode` returns them. They are
            sent again with that same text; with another value they would say something about it that nobody said.
    """
    encoded: dict[str, str] = {}
    for key, text in _by_priority(members):
        if not is_key(key):
            report("baggage.bad_key", "A baggage key was not a token of RFC 9110, and was left out")
            continue
        # Section 3.3.1.3: percent-encoding; "%" is encoded too. A lone surrogate has no encoding, and becomes "?".
        value = text if is_plain(text) else quote(text, safe=SAFE, errors="replace")
        encoded[key] = f"{key}={value}"
    for key, (text, rest) in (properties or {}).items():
        if key in encoded and members[key] == text:
            encoded[key] += rest
    header = ",".join(encoded.values())
    if len(encoded) <= MAX_MEMBERS and len(header) <= MAX_BYTES:
        return header, ()
    return _shortened(encoded, _number(members.get(DROPPED)))


def _shortened(encoded: dict[str, str], dropped_before: int) -> tuple[str, Sequence[str]]:
    encoded.pop(DROPPED, None)
    room = MAX_BYTES - len(f"{DROPPED}={min(dropped_before + len(encoded), _MOST)}")
    kept: set[str] = set()
    for key, text in encoded.items():
        length = len(text) + 1
        if len(kept) < MAX_MEMBERS - 1 and length <= room:
            kept.add(key)
            room -= length
    left_out = tuple(key for key in encoded if key not in kept)
    report("baggage.left_out", "Members did not fit an outgoing baggage header", times=len(left_out))
    marker = f"{DROPPED}={min(dropped_before + len(left_out), _MOST)}"
    return ",".join([*(text for key, text in encoded.items() if key in kept), marker]), left_out


def _by_priority(members: Mapping[str, str]) -> list[tuple[str, str]]:
    # On the wire too: a peer with smaller limits mostly keeps what comes first.
    by_key = registry().by_key

    def rank(member: tuple[str, str]) -> int:
        field = by_key.get(member[0])
        return 0 if field is None else -field.priority

    return sorted(members.items(), key=rank)


def _number(text: str | None) -> int:
    return int(text) if text and len(text) <= len(str(_MOST)) and text.isascii() and text.isdecimal() else 0
