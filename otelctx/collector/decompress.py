"""
Streaming decompression: gzip and zlib bodies, a piece at a time.

The output is bounded, not only checked: no call produces more than is still allowed, whatever the input's ratio.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Protocol

from otelctx.collector.refusal import BAD_ENCODING, TOO_LARGE, UNSUPPORTED_ENCODING, RefusedError

if TYPE_CHECKING:
    from collections.abc import Iterator

PIECE = 64 * 1024
# A gzip file may be many members (RFC 1952, 2.2); thousands of empty ones cost time and carry nothing.
MAX_MEMBERS = 64
WINDOW_BITS = {"gzip": 31, "x-gzip": 31, "deflate": 15}
ACCEPTED_ENCODINGS = "gzip, deflate, identity"


class Decoder(Protocol):
    """What takes a body's bytes as they come and gives its decoded bytes."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Give what *data* decodes to, in pieces."""
        ...

    def finish(self) -> None:
        """Raise RefusedError when the body ended too early."""
        ...


class Identity:
    """A body as it is, bounded to *limit* bytes."""

    def __init__(self, limit: int) -> None:
        """Allow *limit* bytes."""
        self._limit = limit
        self._left = limit

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Give *data* itself, or raise RefusedError over the limit."""
        self._left -= len(data)
        if self._left < 0:
            raise too_large(self._limit)
        yield data

    def finish(self) -> None:
        """Do nothing: a body as it is cannot be incomplete."""


class Inflate:
    """A compressed body, bounded to *limit* bytes before and after decompression."""

    def __init__(self, window_bits: int, limit: int) -> None:
        """Read the format that *window_bits* names (zlib's convention) and allow *limit* bytes."""
        self._window_bits = window_bits
        self._limit = limit
        self._compressed_left = limit
        self._left = limit
        self._members = 0
        self._stream = zlib.decompressobj(window_bits)
        self._started = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Give the decompressed pieces of *data*; raise RefusedError for broken data or too much of it."""
        self._compressed_left -= len(data)
        if self._compressed_left < 0:
            raise too_large(self._limit)
        pending = False  # zlib may hold output back when a piece is full, after it took all of the input
        while data or pending:
            self._next_member()
            # One byte more than allowed is enough to know that it is too much.
            room = min(PIECE, self._left + 1)
            try:
                piece = self._stream.decompress(data, room)
            except zlib.error as error:
                raise RefusedError(BAD_ENCODING, "The compressed body is broken; send it again") from error
            self._left -= len(piece)
            if self._left < 0:
                raise too_large(self._limit)
            if piece:
                yield piece
            pending = len(piece) == room and not self._stream.eof
            data = self._stream.unused_data if self._stream.eof else self._stream.unconsumed_tail

    def finish(self) -> None:
        """Raise RefusedError when the compressed stream has no end."""
        if self._started and not self._stream.eof:
            raise RefusedError(BAD_ENCODING, "The compressed body ends too early; send it whole")

    def _next_member(self) -> None:
        if self._stream.eof:
            self._members += 1
            if self._members >= MAX_MEMBERS or self._window_bits != WINDOW_BITS["gzip"]:
                raise RefusedError(BAD_ENCODING, "The compressed body goes on after its end; send one stream")
            self._stream = zlib.decompressobj(self._window_bits)
        self._started = True


def decoder_for(content_encoding: str, limit: int) -> Decoder:
    """
    Choose the decoder for the value of a Content-Encoding header (RFC 9110, 8.4), bounded to *limit* bytes.

    Raises:
        RefusedError: for an encoding the collector does not read (415).
    """
    name = content_encoding.strip().lower()
    if name in {"", "identity"}:
        return Identity(limit)
    if name in WINDOW_BITS:
        return Inflate(WINDOW_BITS[name], limit)
    reason = f"The content encoding is not one of {ACCEPTED_ENCODINGS}; use one of these"
    raise RefusedError(UNSUPPORTED_ENCODING, reason)


def too_large(limit: int) -> RefusedError:
    """Make the refusal of a body over *limit* bytes."""
    return RefusedError(TOO_LARGE, f"The body is larger than {limit} bytes; send smaller batches")
