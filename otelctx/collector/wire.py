"""
The protobuf wire format: how many messages a body holds, counted before it is parsed.

An empty message is two bytes on the wire and a hundred in memory, so the size of a body alone does not bound what
parsing it costs; the number of its messages does. Source: protobuf.dev, "Encoding".
"""

from __future__ import annotations

from typing import Any, TypeAlias

from otelctx.collector.refusal import MALFORMED, TOO_LARGE, RefusedError

# A body of 16 MiB as real exporters send it has about 600,000.
MAX_MESSAGES = 1_000_000
# What fits in fewer bytes cannot cost much.
FREE_BYTES = 64 * 1024

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5

Layout: TypeAlias = "dict[int, Layout]"
"""For each tag of a field that holds a message: the layout of that message."""


def layout_of(descriptor: Any, known: dict[str, Layout] | None = None) -> Layout:
    """
    Find which fields of a message's *descriptor* hold messages, at every depth; recursive ones refer to themselves.

    Its type is Any, as protobuf has one class for it in Python and another in C.
    """
    known = {} if known is None else known
    layout = known.get(descriptor.full_name)
    if layout is None:
        layout = known[descriptor.full_name] = {}
        for field in descriptor.fields:
            if field.message_type is not None:
                layout[field.number << 3 | LENGTH] = layout_of(field.message_type, known)
    return layout


def check_messages(body: bytes, layout: Layout, limit: int = MAX_MESSAGES) -> None:
    """
    Raise unless *body*, a message of *layout*, holds at most *limit* messages.

    Raises:
        RefusedError: for more (413), or for what cannot be protobuf (400).
    """
    if len(body) <= FREE_BYTES:
        return
    size = len(body)
    outer: list[tuple[int, Layout]] = []  # where each enclosing message ends, and its layout
    position, end, messages = 0, size, 1
    try:
        while True:
            while position >= end:
                if not outer:
                    return
                end, layout = outer.pop()
            tag, position = varint(body, position)
            if tag & 7 != LENGTH:
                position = after_number(body, position, tag & 7)
                continue
            length, position = varint(body, position)
            if length > end - position:
                raise broken()
            if tag not in layout:
                position += length
                continue
            messages += 1
            if messages > limit:
                raise RefusedError(TOO_LARGE, f"The body holds more than {limit} messages; send smaller batches")
            outer.append((end, layout))
            end, layout = position + length, layout[tag]
    except IndexError:
        raise broken() from None


def after_number(body: bytes, position: int, kind: int) -> int:
    """Give where the number of wire type *kind* at *position* ends; the marks of a group have no length."""
    if kind == VARINT:
        return varint(body, position)[1]
    return position + {FIXED64: 8, FIXED32: 4}.get(kind, 0)


def varint(body: bytes, position: int) -> tuple[int, int]:
    """
    Read the number at *position*, and where it ends; an IndexError means that the body ends within it.

    >>> varint(bytes([0x96, 0x01]), 0)
    (150, 2)
    """
    byte = body[position]
    position += 1
    if byte < 128:
        return byte, position
    value, shift = byte & 127, 7
    while byte >= 128:
        byte = body[position]
        position += 1
        value |= (byte & 127) << shift
        shift += 7
        if shift > 70:
            raise broken()
    return value, position


def broken() -> RefusedError:
    """Make the refusal of what cannot be protobuf."""
    return RefusedError(MALFORMED, "The body is not valid protobuf; send an OTLP export request")
