"""
The wire form of baggage: W3C Baggage, percent-encoding only.

Every rule names its clause of https://www.w3.org/TR/baggage/; `docs/wire.md` lists them. Any input is decoded in
linear time and bounded memory, and nothing that was read or written is kept here.
"""

from otelctx.core.fields import DROPPED
from otelctx.propagation.codec.decoding import decode
from otelctx.propagation.codec.encoding import dropped_count, encode
from otelctx.propagation.codec.grammar import MAX_BYTES, MAX_MEMBERS

__all__ = ["DROPPED", "MAX_BYTES", "MAX_MEMBERS", "decode", "dropped_count", "encode"]
