"""
OTLP over HTTP: the three ``/v1`` routes.

A body is read a piece at a time and never beyond its limit; the answer comes in the encoding of the request.
Source: OTLP specification, "OTLP/HTTP".
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from google.protobuf import json_format
from google.rpc.status_pb2 import Status
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from otelctx.collector.decompress import ACCEPTED_ENCODINGS, Decoder, decoder_for, too_large
from otelctx.collector.refusal import SLOW, UNSUPPORTED_TYPE, RefusedError
from otelctx.collector.signals import LOGS, METRICS, TRACES, Signal

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from otelctx.collector.budget import Reservation
    from otelctx.collector.config import CollectorConfig
    from otelctx.collector.intake import Intake

PROTOBUF = "application/x-protobuf"
JSON = "application/json"
# A refused sender may finish a body of this size, unread; a longer one finds its connection closed.
DISCARD_UP_TO = 64 * 1024 * 1024


class Receiver:
    """The three routes over one intake."""

    def __init__(self, config: CollectorConfig, intake: Intake) -> None:
        """Feed *intake* within the bounds of *config*."""
        self._limit = config.max_body_bytes
        self._timeout = config.body_timeout_seconds
        self._intake = intake

    def routes(self) -> list[Route]:
        """Give the routes."""
        return [self._route(signal) for signal in (TRACES, LOGS, METRICS)]

    def _route(self, signal: Signal[Any]) -> Route:
        async def receive(request: Request) -> Response:
            return await self._answer(signal, request)

        return Route(f"/v1/{signal.name}", receive, methods=["POST"], name=signal.name)

    async def _answer(self, signal: Signal[Any], request: Request) -> Response:
        content_type = media_type(request.headers.get("content-type", ""))
        try:
            message = await self._take(signal, request, content_type)
        except RefusedError as error:
            self._intake.refuse(error)
            return refusal_response(error, request, content_type)
        except ClientDisconnect:
            return Response(status_code=400)  # nobody reads it
        return encoded(message, content_type, 200)

    async def _take(self, signal: Signal[Any], request: Request, content_type: str) -> Message:
        if content_type not in {PROTOBUF, JSON}:
            reason = f"The content type is not one of {PROTOBUF}, {JSON}; use one of these"
            raise RefusedError(UNSUPPORTED_TYPE, reason)
        decoder = decoder_for(request.headers.get("content-encoding", ""), self._limit)
        if announced_length(request) > self._limit:
            raise too_large(self._limit)
        with self._intake.budget.open() as reservation:
            reading = read_body(request, decoder, reservation)
            try:
                body = await asyncio.wait_for(reading, self._timeout)
            except (asyncio.TimeoutError, TimeoutError):
                reason = f"The body did not arrive within {self._timeout:g} s; send it faster or in smaller batches"
                raise RefusedError(SLOW, reason) from None
            return await self._intake.take(signal, body, is_json=content_type == JSON)


async def read_body(request: Request, decoder: Decoder, reservation: Reservation) -> bytes:
    """Read and decode the whole body, reserving its bytes as they come."""
    body = bytearray()
    async for data in request.stream():
        for piece in decoder.feed(data):
            reservation.take(len(piece))
            body += piece
    decoder.finish()
    return bytes(body)


def media_type(header: str) -> str:
    """
    Give the media type of a Content-Type *header* without its parameters (RFC 9110, 8.3.1).

    >>> media_type("Application/JSON; charset=utf-8")
    'application/json'
    """
    return header.partition(";")[0].strip().lower()


def announced_length(request: Request) -> int:
    """Give the Content-Length, or 0 where there is none; the server has checked that it is a number."""
    header = request.headers.get("content-length", "")
    return int(header) if header.isascii() and header.isdigit() else 0


def encoded(message: Message, content_type: str, status: int, headers: dict[str, str] | None = None) -> Response:
    """Make a response of *message*, in protobuf if that is the request's *content_type*, else in JSON."""
    if content_type == PROTOBUF:
        return Response(message.SerializeToString(), status, headers, media_type=PROTOBUF)
    text = json_format.MessageToJson(message, indent=None)
    return Response(text, status, headers, media_type=JSON)


def refusal_response(error: RefusedError, request: Request, content_type: str) -> Response:
    """Make the answer of a refusal: a google.rpc.Status, as OTLP wants it."""
    headers: dict[str, str] = {}
    if error.kind.retry_after is not None:
        headers["Retry-After"] = str(error.kind.retry_after)
    if error.kind.http == HTTPStatus.UNSUPPORTED_MEDIA_TYPE:
        headers["Accept-Encoding"] = ACCEPTED_ENCODINGS
    chunked = "transfer-encoding" in request.headers
    if chunked or announced_length(request) > DISCARD_UP_TO:
        headers["Connection"] = "close"
    return encoded(Status(code=error.kind.rpc, message=error.reason), content_type, error.kind.http, headers)
