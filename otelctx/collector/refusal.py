"""
Refusals: why a request was not taken, as HTTP and gRPC each say it.

A kind is a counter's name and comes from this file; the reason never quotes the body.
Source: OTLP specification, "OTLP/HTTP Response" and "OTLP/gRPC Response"; google.rpc.Code.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """One way to be refused: its counter, its HTTP status and its google.rpc.Code."""

    name: str
    http: int
    rpc: int
    retry_after: int | None = None


MALFORMED = Kind("malformed", 400, 3)
BAD_ENCODING = Kind("bad_content_encoding", 400, 3)
SLOW = Kind("slow_body", 408, 4)
TOO_LARGE = Kind("too_large", 413, 8)
UNSUPPORTED_TYPE = Kind("unsupported_content_type", 415, 3)
UNSUPPORTED_ENCODING = Kind("unsupported_content_encoding", 415, 3)
BUSY = Kind("busy", 503, 14, retry_after=1)
STORE_FAILED = Kind("store_failed", 503, 14, retry_after=5)


class RefusedError(Exception):
    """
    A request that is not taken.

    It never leaves the collector: the HTTP and gRPC faces turn it into their answers.
    """

    def __init__(self, kind: Kind, reason: str) -> None:
        """Refuse for *kind*; *reason* says what happened and what to do."""
        super().__init__(reason)
        self.kind = kind
        self.reason = reason
