"""
Sending: the sender of an endpoint's protocol. What it needs is loaded only where that protocol is used.
"""

from __future__ import annotations

from otelctx.export.endpoint import Endpoint
from otelctx.export.outcomes import Sender
from otelctx.export.protocol import Signal


def sender_for(signal: Signal, endpoint: Endpoint) -> Sender:
    """Return what sends *signal* to *endpoint*; it connects when it is first used."""
    if endpoint.protocol == "grpc":
        from otelctx.export.sending_grpc import GrpcSender  # noqa: PLC0415 - only where it is used

        return GrpcSender(signal, endpoint)
    from otelctx.export.sending_http import HttpSender  # noqa: PLC0415 - only where it is used

    return HttpSender(signal, endpoint)
