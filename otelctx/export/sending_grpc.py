"""
Sending over gRPC, with grpcio: one channel, which reconnects by itself.

Source: https://opentelemetry.io/docs/specs/otlp/#otlpgrpc. The payload is bytes already, so no client is generated.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import grpc
from google.protobuf.message import DecodeError
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status

from otelctx.export.endpoint import Endpoint
from otelctx.export.outcomes import Delivered, Outcome, Refused, Unavailable
from otelctx.export.protocol import Signal

_RETRYABLE: Final = frozenset(
    {
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.OUT_OF_RANGE,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DATA_LOSS,
    }
)
# Without RetryInfo, RESOURCE_EXHAUSTED is what a message gets that is too large.
_FOR_CONTENT: Final = frozenset(
    {grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.INTERNAL}
)
# Ours decides when to try again, and the channel is not to wait for longer than that.
_OPTIONS: Final = (
    ("grpc.enable_retries", 0),
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 2_000),
)
# Where google.rpc.Status is put by every implementation of gRPC's "Richer error model".
_DETAILS: Final = "grpc-status-details-bin"


class GrpcSender:
    """Sends over gRPC."""

    def __init__(self, signal: Signal, endpoint: Endpoint) -> None:
        """Connect to nothing yet."""
        self._signal = signal
        self._endpoint = endpoint
        self._channel: grpc.Channel | None = None
        self._metadata = tuple(endpoint.headers.items())

    def send(self, payload: bytes) -> Outcome:
        """Send *payload* once."""
        try:
            self._channel = self._channel or _channel(self._endpoint)
            export: Any = self._channel.unary_unary(self._signal.method)
            answer = export(payload, timeout=self._endpoint.timeout, metadata=self._metadata)
        except grpc.RpcError as error:
            return _outcome(error)
        except (OSError, ValueError) as error:
            # A file of certificates that is not there, a channel that was closed meanwhile, a header that gRPC refuses.
            return Unavailable(type(error).__name__)
        return Delivered(self._signal.rejected(answer))

    def close(self) -> None:
        """Close the channel."""
        if self._channel is not None:
            self._channel.close()


def _channel(endpoint: Endpoint) -> grpc.Channel:
    compression = grpc.Compression.Gzip if endpoint.compression == "gzip" else grpc.Compression.NoCompression
    parts = urlsplit(endpoint.url)
    address = parts.netloc.rpartition("@")[2]
    if parts.scheme == "http":
        return grpc.insecure_channel(address, _OPTIONS, compression)
    return grpc.secure_channel(address, _credentials(endpoint), _OPTIONS, compression)


def _credentials(endpoint: Endpoint) -> grpc.ChannelCredentials:
    certificate, key, chain = (
        None if name is None else Path(name).read_bytes()
        for name in (endpoint.certificate, endpoint.client_key, endpoint.client_certificate)
    )
    return grpc.ssl_channel_credentials(certificate, key, chain)


def _outcome(error: Any) -> Outcome:
    code = error.code()
    trouble = f"gRPC status {code.name}"
    after = _retry_info(error.trailing_metadata() or ())
    if code in _RETRYABLE or (code is grpc.StatusCode.RESOURCE_EXHAUSTED and after is not None):
        # gRPC has no status for a refused connection, only a text of its own.
        is_refused = code is grpc.StatusCode.UNAVAILABLE and "Connection refused" in (error.details() or "")
        return Unavailable(trouble, after, is_refused)
    return Refused(trouble, for_content=code in _FOR_CONTENT)


def _retry_info(metadata: Any) -> float | None:
    for key, value in metadata:
        if key == _DETAILS:
            status, info = Status(), RetryInfo()
            try:
                status.ParseFromString(value)
                if any(detail.Unpack(info) for detail in status.details):
                    return max(0.0, float(info.retry_delay.ToTimedelta().total_seconds()))
            except (DecodeError, ValueError, OverflowError):
                return None
    return None
