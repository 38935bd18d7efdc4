"""
Encoding: one ``baggage`` header of what may leave the process.

Members leave whole or not at all; when not all fit, a marker says how many are missing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from otelctx.core.fields import DROPPED
from otelctx.core.reports import report
from otelctx.propagation.codec.grammar import MAX_BYTES, MAX_MEMBERS, TEXT_OF, is_key, is_plain

# More than this is not believed, nor counted further.
_MOST: Final = 999_999_999


def encode(
    members: Mapping[str, str],
    properties: Mapping[str, tuple[str, str]] | None = None,
    *,
    room: int = MAX_BYTES,
    places: int = MAX_MEMBERS,
) -> tuple[str, Sequence[str]]:
    """
    Return *members* as one header, and the keys of those that did not fit it.

    When not everything fits the limits, the last members are left out, whole ones only, and one that is too large by
    itself. The header then has a marker with their number, and they are counted and reported. Without members it is
    an empty text.

    Args:
        members: texts by key, the most important first. A peer with smaller limits mostly keeps what comes first.
        properties: by key, the text that properties came with, and the properties as `decode` returns them. They are
            sent again with that same text; with another value they would say something about it that nobody said.
        room, places: how many bytes and members the header may have.
    """
    count = len(members)
    if not count:
        return "", ()
    header = ",".join([f"{key}={text}" for key, text in members.items()])
    # One look at the whole header: nearly all members are their own encoding. The commas that it has are ours then.
    if properties or not is_plain(header) or header.count(",") != count - 1:
        encoded = _encode_each(members, properties or {})
    elif count <= places and len(header) <= room:
        return header, ()
    else:
        encoded = {key: f"{key}={text}" for key, text in members.items()}
    header = ",".join(encoded.values())
    if len(encoded) <= places and len(header) <= room:
        return header, ()
    return _shortened(encoded, dropped_count(members.get(DROPPED)), room, places)


def _encode_each(members: Mapping[str, str], properties: Mapping[str, tuple[str, str]]) -> dict[str, str]:
    if not all(map(is_key, members)):
        bad = [key for key in members if not is_key(key)]
        report("baggage.bad_key", "A baggage key was not a token of RFC 9110, and was left out", times=len(bad))
        members = {key: text for key, text in members.items() if key not in bad}
    # All values together, with a character in between that hardly any has.
    texts = _encoded("\0".join(members.values())).split("%00")
    if len(texts) != len(members):
        texts = list(map(_encoded, members.values()))
    encoded = {key: f"{key}={text}" for key, text in zip(members, texts, strict=True)}
    for key, (text, rest) in properties.items():
        if members.get(key) == text:
            encoded[key] += rest
    return encoded


def _encoded(text: str) -> str:
    # A lone surrogate has no encoding; other code may have put one into the baggage. It becomes a question mark.
    # Of the octets, Latin-1 makes one character each.
    return text.encode("utf-8", "replace").decode("latin-1").translate(TEXT_OF)


def _shortened(encoded: dict[str, str], dropped_before: int, room: int, places: int) -> tuple[str, Sequence[str]]:
    encoded.pop(DROPPED, None)
    room -= len(f"{DROPPED}={min(dropped_before + len(encoded), _MOST)}")
    kept: list[str] = []
    left_out: list[str] = []
    for key, text in encoded.items():
        if len(kept) < places - 1 and len(text) + 1 <= room:
            kept.append(text)
            room -= len(text) + 1
        else:
            left_out.append(key)
    if left_out:
        report("baggage.left_out", "Members did not fit an outgoing baggage header", times=len(left_out))
    dropped = min(dropped_before + len(left_out), _MOST)
    # None, when all that did not fit was a member by the marker's key that is no marker.
    if dropped:
        kept.append(f"{DROPPED}={dropped}")
    return ",".join(kept), left_out


def dropped_count(text: str | None) -> int:
    """Return what a marker with the value *text* says, 0 where it is none."""
    return int(text) if text and len(text) <= len(str(_MOST)) and text.isascii() and text.isdecimal() else 0
