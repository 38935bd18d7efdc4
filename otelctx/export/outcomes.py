"""
Outcomes: what came of one request to the collector, in the terms of the OTLP specification.

Source: https://opentelemetry.io/docs/specs/otlp/, "OTLP/gRPC Response" and "OTLP/HTTP Response".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Delivered:
    """
    The collector took it, maybe without some items, which are not to be sent again.

    Attributes:
        rejected: how many items it did not take.
    """

    rejected: int = 0


@dataclass(frozen=True)
class Unavailable:
    """
    The collector may take it later.

    Attributes:
        trouble: why not now, without anything that the collector wrote.
        after: how many seconds it asked to be left alone, if it did.
        is_refused: nobody listens there.
    """

    trouble: str
    after: float | None = None
    is_refused: bool = False


@dataclass(frozen=True)
class Refused:
    """
    The collector will never take it.

    Attributes:
        trouble: why, without anything that the collector wrote.
        for_content: something in the request is the reason, and not who sent it or where to.
    """

    trouble: str
    for_content: bool


Outcome = Delivered | Unavailable | Refused


class Sender(Protocol):
    """Sends export requests over one protocol, from one thread."""

    def send(self, payload: bytes) -> Outcome:
        """Send the export request *payload* once, and say what came of it; nothing that the other side does raises."""
        ...

    def close(self) -> None:
        """Close the connection; a `send` in another thread may fail from it."""
        ...
