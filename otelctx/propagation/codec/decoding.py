"""
Decoding: what the ``baggage`` headers of a message say.

A bad member is left out alone. What is cut off at the limits is never looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from urllib.parse import unquote_to_bytes

from otelctx.core.reports import report
from otelctx.propagation.codec.grammar import (
    MAX_BYTES,
    MAX_MEMBERS,
    OWS,
    is_encoded,
    is_key,
    is_properties,
)


def decode(headers: Iterable[str]) -> tuple[dict[str, str], dict[str, str]]:
    """
    Return the members of all ``baggage`` *headers* together, and the properties of those that have any.

    Both are by key: values as text, properties as they came, from the first semicolon on. Of a key that comes twice
    the last member counts, with its properties. What is over the limits is left out, counted and reported.
    """
    members: dict[str, str] = {}
    properties: dict[str, str] = {}
    bad = bad_properties = 0
    for member in _list_members(headers):
        pair, semicolon, rest = member.partition(";")
        key, equals, text = pair.partition("=")
        key, text = key.strip(OWS), text.strip(OWS)
        if not equals or not is_key(key) or not is_encoded(text):
            bad += 1
            continue
        if len(members) == MAX_MEMBERS and key not in members:
            report("baggage.too_many_members", "An incoming baggage header had over %d members", MAX_MEMBERS)
            break
        members[key] = _decoded(text)
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
    return members, properties


def _decoded(text: str) -> str:
    # Section 3.3.1.3: percent-encoding only, so a plus is a plus; what is not UTF-8 becomes U+FFFD.
    return unquote_to_bytes(text).decode("utf-8", "replace") if "%" in text else text


def _list_members(headers: Iterable[str]) -> Iterator[str]:
    # Section 3.3.2: "all limits apply to the combination of all baggage headers". Cut before anything is parsed.
    left = MAX_BYTES
    for header in headers:
        if left <= 0:
            report("baggage.too_long", "Incoming baggage headers had over %d bytes", MAX_BYTES)
            return
        text, length = _cut(header, left)
        for member in text.split(","):
            if member.strip(OWS):
                yield member
        # The comma that would join it to the next one.
        left -= length + 1


def _cut(header: str, limit: int) -> tuple[str, int]:
    """Return the whole members at the start of *header* that take at most *limit* bytes, and how many it takes."""
    # A character takes at least a byte, so this much is all that can matter, however long it is.
    text = header[: limit + 1]
    length = len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
    if length <= limit:
        return text, length
    report("baggage.too_long", "Incoming baggage headers had over %d bytes", MAX_BYTES)
    if length > len(text):
        text = text.encode("utf-8", "surrogatepass")[: limit + 1].decode("utf-8", "ignore")
    return text.rpartition(",")[0], length
