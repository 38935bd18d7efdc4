"""
Batches: export requests as bytes, and how many items are in each.

Two requests of one signal make one when their bytes are put together, since an OTLP export request is nothing but a
repeated field (Protocol Buffers, "Encoding", "Last One Wins").
"""

from __future__ import annotations

from typing import NamedTuple


class Batch(NamedTuple):
    """
    An encoded export request.

    Attributes:
        payload: an OTLP export request in protobuf.
        items: how many spans, log records or data points it has.
    """

    payload: bytes
    items: int
