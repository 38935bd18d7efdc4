"""
The protobuf wire format: a field is a tag and then a number, eight or four bytes, or a length and that many bytes.

Fields are written in the order of their numbers, and those with their default value are left out, as protobuf's own
encoder does. Source: https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

from struct import Struct
from typing import Final

from otelctx.core.reports import report

# Wire types.
VARINT: Final = 0
FIXED64: Final = 1
LENGTH: Final = 2
FIXED32: Final = 5

_ONE_BYTE: Final = tuple(bytes((number,)) for number in range(0x80))
_MAX_UINT32: Final = 2**32 - 1
_MAX_UINT64: Final = 2**64 - 1

fixed64 = Struct("<Q").pack
sfixed64 = Struct("<q").pack
fixed32 = Struct("<I").pack
double = Struct("<d").pack


def varint(number: int) -> bytes:
    """
    Return *number* in groups of seven bits, the lowest first.

    Raises:
        ValueError: for a number outside [0, 2**64).
    """
    if 0 <= number < 0x80:
        return _ONE_BYTE[number]
    if 0 < number < 0x4000:
        return bytes((number & 0x7F | 0x80, number >> 7))
    if 0 < number < 0x200000:
        return bytes((number & 0x7F | 0x80, number >> 7 & 0x7F | 0x80, number >> 14))
    if not 0 <= number <= _MAX_UINT64:
        raise ValueError("a varint has 64 bits")
    groups = bytearray()
    while number >= 0x80:
        groups.append(number & 0x7F | 0x80)
        number >>= 7
    groups.append(number)
    return bytes(groups)


def int64(number: int) -> bytes:
    """Return the varint of a number in [-2**63, 2**63): a negative one is written as its two's complement."""
    return varint(number & _MAX_UINT64)


def sint32(number: int) -> bytes:
    """Return the varint of a small signed number, in zigzag: 0, -1, 1, -2 become 0, 1, 2, 3."""
    return varint(number << 1 ^ number >> 31)


def tag(field: int, wire_type: int) -> bytes:
    """Return what stands before each value of *field*."""
    return varint(field << 3 | wire_type)


def length_delimited(tag: bytes, body: bytes) -> bytes:
    """Return the field of a message, of text or of bytes, also when it is empty."""
    return b"".join((tag, varint(len(body)), body))


def text_field(tag: bytes, text: str | None) -> bytes:
    """Return the field of a name or description; nothing when it is empty."""
    return length_delimited(tag, utf8(text)) if text else b""


def uint32_field(tag: bytes, number: int) -> bytes:
    """
    Return the field of a count; nothing for 0.

    Raises:
        ValueError: for a number outside [0, 2**32).
    """
    if not number:
        return b""
    if number > _MAX_UINT32:
        raise ValueError("a count has 32 bits")
    return tag + varint(number)


def fixed64_field(tag: bytes, number: int | None) -> bytes:
    """Return the field of a time or a count; nothing for 0 and None."""
    return tag + fixed64(number) if number else b""


def utf8(text: str) -> bytes:
    """Return *text* in UTF-8, with U+FFFD in place of each lone surrogate, which UTF-8 has no form for."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        report("export.text", "Text with lone surrogates was exported with replacement characters")
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").encode()
