"""
Decoding: what the ``baggage`` headers of a message say.

A bad member is left out alone. What is cut off at the limits is never looked at.
"""

from __future__ import annotations

from collections.abc import Iterable
from re import Match
from typing import Final

from otelctx.core.reports import report
from otelctx.propagation.codec.grammar import (
    MAX_BYTES,
    MAX_MEMBERS,
    OWS,
    encoded,
    is_compact,
    is_encoded,
    is_key,
    is_properties,
)

# Below what is left when the last header fits exactly: -1, for the comma that would join another one to it.
_FULL: Final = -2


def decode(headers: Iterable[str]) -> tuple[dict[str, str], dict[str, str]]:
    """
    Return the members of all ``baggage`` *headers* together, and the properties of those that have any.

    Both are by key: values as text, properties as they came, from the first semicolon on. Of a key that comes twice
    the last member counts, with its properties. What is over the limits is left out, counted and reported.
    """
    members: dict[str, str] = {}
    properties: dict[str, str] = {}
    left = MAX_BYTES
    for header in headers:
        # Section 3.3.2: "all limits apply to the combination of all baggage headers", and to bytes.
        is_long = len(header) > left or not header.isascii()
        text, left = _cut(header, left) if is_long else (header, left - len(header) - 1)
        # One look at the whole header: nearly all of them have neither whitespace, nor properties, nor mistakes.
        if not properties and is_compact(text) and text.count(",") < MAX_MEMBERS - len(members):
            found: dict[str, str] = dict([member.split("=", 1) for member in text.split(",")])
            if "%" in text:
                # Section 3.3.1.3: percent-encoding only, so a plus is a plus.
                found = {key: encoded(_decoded, value) if "%" in value else value for key, value in found.items()}
            members.update(found)
        elif not _decode_each(text, members, properties):
            report("baggage.too_many_members", "Incoming baggage headers had over %d members", MAX_MEMBERS)
            break
        if left == _FULL:
            break
    return members, properties


def _decode_each(text: str, members: dict[str, str], properties: dict[str, str]) -> bool:
    """Add what the header *text* says to the other two, and tell whether that was all of it."""
    bad = bad_properties = 0
    is_all = True
    # An empty element of a list is none: RFC 9110, section 5.6.1.2.
    for member in filter(None, text.split(",")):
        pair, semicolon, rest = member.partition(";")
        key, equals, value = pair.partition("=")
        key, value = key.strip(OWS), value.strip(OWS)
        if not equals or not is_key(key) or not is_encoded(value):
            bad += bool(member.strip(OWS))
            continue
        if len(members) == MAX_MEMBERS and key not in members:
            is_all = False
            break
        members[key] = encoded(_decoded, value) if "%" in value else value
        properties.pop(key, None)
        if semicolon:
            if is_properties(semicolon + rest):
                properties[key] = f";{rest.strip(OWS)}"
            else:
                bad_properties += 1
    if bad:
        report("baggage.bad_member", "A member of an incoming baggage header was not valid", times=bad)
    if bad_properties:
        report("baggage.bad_property", "A property in an incoming baggage header was not valid", times=bad_properties)
    return is_all


def _decoded(found: Match[str]) -> str:
    # Section 3.3.1.3: "sequences that do not match the UTF-8 encoding scheme MUST be replaced" by U+FFFD.
    return bytes.fromhex(found[0].replace("%", "")).decode("utf-8", "replace")


def _cut(header: str, left: int) -> tuple[str, int]:
    """Return the whole members of *header* in its first *left* bytes, and how many bytes are left then, or `_FULL`."""
    # A character takes at least a byte, so no more than this can matter, however long it is.
    raw = header[: left + 1].encode("utf-8", "surrogatepass")
    if len(raw) <= left:
        return header, left - len(raw) - 1
    report("baggage.too_long", "Incoming baggage headers had over %d bytes", MAX_BYTES)
    return raw[: left + 1].rpartition(b",")[0].decode("utf-8", "surrogatepass"), _FULL
