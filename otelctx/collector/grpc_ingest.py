"""
OTLP over gRPC: the ``Export`` methods of the three services.

Messages arrive as bytes and compressed ones stay so, because gRPC itself would decompress without a bound; the same
bounded decoder as for HTTP opens them. Source: OTLP specification, "OTLP/gRPC".
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, NoReturn

import grpc
import grpc.aio
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status

from otelctx.collector.decompress import decoder_for
from otelctx.collector.refusal import MALFORMED, SLOW, RefusedError
from otelctx.collector.signals import LOGS, METRICS, TRACES, Signal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from otelctx.collector.config import CollectorConfig
    from otelctx.collector.intake import Intake

# A stream of calls costs little until its message is read, and so many messages are read at once.
MAX_CALLS = 512
MESSAGES_READ_AT_ONCE = 4
CODES = {code.value[0]: code for code in grpc.StatusCode}
# How gzip (RFC 1952) and zlib (RFC 1950) data begins. No OTLP message does: 0x1f has a wire type that protobuf does
# not know, and 0x78 would be field 15, which no export request has.
GZIP_START = b"\x1f\x8b"
ZLIB_START = b"\x78"


def make_server(config: CollectorConfig, intake: Intake) -> grpc.aio.Server:
    """Make the server, not yet bound, that feeds *intake*."""
    server = grpc.aio.server(
        options=[
            ("grpc.so_reuseport", 0),  # a second collector on the port must fail, not share it
            ("grpc.max_receive_message_length", config.max_body_bytes),
            ("grpc.per_message_decompression", 0),
            ("grpc.max_metadata_size", 16 * 1024),
        ],
        maximum_concurrent_rpcs=MAX_CALLS,
    )
    reading = asyncio.Semaphore(MESSAGES_READ_AT_ONCE)
    for signal in (TRACES, LOGS, METRICS):
        # On the wire a method with a stream of one message is the same as one without a stream; here it lets us
        # decide when the message is read into memory.
        handler: grpc.RpcMethodHandler[bytes, bytes] = grpc.stream_unary_rpc_method_handler(
            Export(signal, config, intake, reading).answer
        )
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(signal.service, {"Export": handler}),))
    return server


class Export:
    """The one method of a signal's service."""

    def __init__(
        self, signal: Signal[Any], config: CollectorConfig, intake: Intake, reading: asyncio.Semaphore
    ) -> None:
        """Feed *intake* with messages of *signal*, read while *reading* allows it."""
        self._signal = signal
        self._limit = config.max_body_bytes
        self._timeout = config.body_timeout_seconds
        self._intake = intake
        self._reading = reading

    async def answer(self, _: object, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        """Answer one call."""
        try:
            async with self._reading:
                message = await self._read(context)
            with self._intake.budget.open() as reservation:
                reservation.take(len(message))
                body = bytearray()
                for piece in opened(message, self._limit, reservation.take):
                    body += piece
                answer = await self._intake.take(self._signal, bytes(body), is_json=False)
        except RefusedError as error:
            self._intake.refuse(error)
            await abort(context, error)
        return answer.SerializeToString()

    async def _read(self, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        """Read the one message; an oversized one was refused by gRPC itself and reads as an end."""
        try:
            message = await asyncio.wait_for(context.read(), self._timeout)
        except (asyncio.TimeoutError, TimeoutError):
            raise RefusedError(SLOW, f"No message arrived within {self._timeout:g} s; send it faster") from None
        if not isinstance(message, bytes):
            raise RefusedError(MALFORMED, "The call carries no message; send one export request")
        return message


def opened(message: bytes, limit: int, take: Callable[[int], None]) -> Iterator[bytes]:
    """Give *message* decompressed, in pieces, each one reserved with *take*."""
    encoding = "gzip" if message.startswith(GZIP_START) else "deflate" if message.startswith(ZLIB_START) else "identity"
    decoder = decoder_for(encoding, limit)
    for piece in decoder.feed(message):
        take(len(piece))
        yield piece
    decoder.finish()


async def abort(context: grpc.aio.ServicerContext[bytes, bytes], error: RefusedError) -> NoReturn:
    """End the call with the refusal's status, and with RetryInfo where trying again may help."""
    if error.kind.retry_after is not None:
        detail = AnyMessage()
        detail.Pack(RetryInfo(retry_delay=Duration(seconds=error.kind.retry_after)))
        status = Status(code=error.kind.rpc, message=error.reason, details=[detail])
        context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    await context.abort(CODES[error.kind.rpc], error.reason)
