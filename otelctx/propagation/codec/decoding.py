"""
Decoding: what the ``baggage`` headers of a message say.

A bad member is left out alone. What is over the limit of bytes is never looked at.
"""

from __future__ import annotations

from binascii import a2b_qp
from collections.abc import Iterable
from re import Match
from typing import Final

from otelctx.core.reports import report
from otelctx.propagation.codec.grammar import (
    MAX_BYTES,
    MAX_MEMBERS,
    OWS,
    has_stray_percent,
    is_compact,
    is_properties,
    members_in,
    replace_octets,
)

# Below what is left when the last header fits exactly: -1, for the comma that would join another one to it.
_FULL: Final = -2

# Between values that are decoded together. It is in no encoded one, and in hardly any text.
_BETWEEN: Final = "\0"


def decode(headers: Iterable[str]) -> tuple[dict[str, str], dict[str, str]]:
    """
    Return the members of all ``baggage`` *headers* together, and the properties of those that have any.

    Both are by key: values as text, properties as they came, from the first semicolon on. Of a key that comes twice
    the last member counts, with its properties. What is over the limits is left out, counted and reported.
    """
    members: dict[str, str] = {}
    properties: dict[str, str] = {}
    left = MAX_BYTES
    has_percent = False
    for header in headers:
        # One look at the whole header: nearly all of them have neither whitespace, nor properties, nor mistakes.
        is_plain = len(header) <= left and not properties and is_compact(header)
        if is_plain and header.count(",") < MAX_MEMBERS - len(members):
            left -= len(header) + 1
            found: dict[str, str] = dict([member.split("=", 1) for member in header.split(",")])
            if members:
                members.update(found)
            else:
                members = found
        else:
            header, left = _cut(header, left)  # noqa: PLW2901 - what of it counts
            if not _split(header, members, properties):
                report("baggage.too_many_members", "Incoming baggage headers had over %d members", MAX_MEMBERS)
                left = _FULL
        if "%" in header:
            has_percent = True
        if left == _FULL:
            break
    if has_percent:
        members = dict(zip(members, _texts([*members.values()]), strict=True))
    return members, properties


def _split(text: str, members: dict[str, str], properties: dict[str, str]) -> bool:
    """Add what the header *text* says, still encoded, to the other two, and tell whether that was all of it."""
    if ",," in text:
        # An empty element of a list is none: RFC 9110, section 5.6.1.2.
        text = ",".join(filter(None, text.split(",")))
    found = members_in(f",{text}")
    if len(found) <= text.count(","):
        bad = len([element for element in text.split(",") if element.strip(OWS)]) - len(found)
        if bad:
            report("baggage.bad_member", "A member of an incoming baggage header was not valid", times=bad)
    bad = 0
    is_all = True
    for key, value, rest in found:
        if len(members) == MAX_MEMBERS and key not in members:
            is_all = False
            break
        members[key] = value
        properties.pop(key, None)
        if rest:
            if is_properties(rest):
                properties[key] = f";{rest[1:].strip(OWS)}"
            else:
                bad += 1
    if bad:
        report("baggage.bad_property", "A property in an incoming baggage header was not valid", times=bad)
    return is_all


def _texts(values: list[str]) -> list[str]:
    texts = _decoded(_BETWEEN.join(values)).split(_BETWEEN)
    return texts if len(texts) == len(values) else [_decoded(value) for value in values]


def _decoded(text: str) -> str:
    # Section 3.3.1.3: percent-encoding only, so a plus is a plus; "sequences that do not match the UTF-8 encoding
    # scheme MUST be replaced" by U+FFFD.
    if has_stray_percent(text):
        return replace_octets(_octets, text)
    # Quoted-printable is the same but for the sign, and read in C: of 64 members in a tenth of the time.
    return a2b_qp(text.replace("=", "%3D").replace("%", "=")).decode("utf-8", "replace")


def _octets(found: Match[str]) -> str:
    return bytes.fromhex(found[0].replace("%", "")).decode("utf-8", "replace")


def _cut(header: str, left: int) -> tuple[str, int]:
    """Return the whole members of *header* in its first *left* bytes, and how many bytes are left then, or `_FULL`."""
    # Section 3.3.2: "all limits apply to the combination of all baggage headers", and to bytes.
    if len(header) <= left and header.isascii():
        return header, left - len(header) - 1
    # A character takes at least a byte, and one that is not ASCII two: no more than this matters, however long it is.
    half = left // 2 + 1
    raw = header[:half].encode("utf-8", "surrogatepass")
    if len(raw) <= left:
        raw += header[half : left + 1].encode("utf-8", "surrogatepass")
    if len(raw) <= left:
        return header, left - len(raw) - 1
    report("baggage.too_long", "Incoming baggage headers had over %d bytes", MAX_BYTES)
    return raw[: left + 1].rpartition(b",")[0].decode("utf-8", "surrogatepass"), _FULL
