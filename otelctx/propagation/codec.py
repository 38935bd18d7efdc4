"""
The wire form of baggage: W3C Baggage, percent-encoding only.

Every rule names its clause of https://www.w3.org/TR/baggage/. Any input is decoded in linear time and bounded memory.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final
from urllib.parse import quote, unquote

from otelctx.core.registry import registry
from otelctx.core.reports import report

# Section 3.3.2, limits: what every platform is bound to propagate.
MAX_MEMBERS: Final = 64
MAX_BYTES: Final = 8192

# Section 3.3.1.1, key: a token of RFC 9110.
_KEY: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")

# Section 3.3.1.2, value: baggage-octet is visible ASCII but for the quotation mark, comma, semicolon and backslash.
# The percent sign is one too, and is encoded all the same, or decoding would change the value.
_SAFE: Final = "!#$&'()*+-./:<=>?@[]^_`{|}~"
_ENCODED: Final = re.compile(r"[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]*")


def decode(headers: Iterable[str]) -> dict[str, str]:
    """
    Return the members of all ``baggage`` *headers* together, by key.

    A bad member is left out alone; of a key that comes twice the last one counts. What is over the limits is left
    out, counted and reported.
    """
    members: dict[str, str] = {}
    for member in _list_members(headers):
        pair, *_properties = member.split(";", 1)
        key, equals, text = pair.partition("=")
        key, text = key.strip(" \t"), text.strip(" \t")
        if not equals or not _KEY.fullmatch(key) or not _ENCODED.fullmatch(text):
            report("baggage.bad_member", "A member of an incoming baggage header was not valid")
            continue
        if len(members) == MAX_MEMBERS and key not in members:
            report("baggage.too_many_members", "An incoming baggage header had over %d members", MAX_MEMBERS)
            break
        members[key] = unquote(text, errors="replace")
    return members


def _list_members(headers: Iterable[str]) -> Iterable[str]:
    # Section 3.3.1: several headers are one list; the limit is on all of them, and before anything is parsed.
    left = MAX_BYTES
    for header in headers:
        text = header
        if len(text) > left:
            report("baggage.too_long", "Incoming baggage headers had over %d bytes", MAX_BYTES)
            text, left = text[:left].rpartition(",")[0], 0
        left -= len(text) + 1
        for member in text.split(","):
            if member.strip(" \t"):
                yield member
        if left <= 0:
            return


def encode(members: Mapping[str, str]) -> str:
    """
    Return *members* as one header, or an empty text.

    When not everything fits the limits, fields of lower priority are left out first, whole members only; that is
    counted and reported.
    """
    # A lone surrogate has no encoding; other code may have put one into the baggage.
    texts = [
        f"{key}={quote(text, safe=_SAFE, errors='replace')}"
        for key, text in _by_priority(members)
        if _KEY.fullmatch(key)
    ]
    kept: list[str] = []
    length = -1
    for text in texts:
        if len(kept) < MAX_MEMBERS and length + 1 + len(text) <= MAX_BYTES:
            kept.append(text)
            length += 1 + len(text)
    if len(kept) < len(members):
        report("baggage.left_out", "%d members did not fit an outgoing baggage header", len(members) - len(kept))
    return ",".join(kept)


def _by_priority(members: Mapping[str, str]) -> list[tuple[str, str]]:
    by_key = registry().by_key

    def rank(member: tuple[str, str]) -> int:
        field = by_key.get(member[0])
        return 0 if field is None else -field.priority

    return sorted(members.items(), key=rank)
