"""
Responses: the id of the request on each of them, its span around them, and one for an application that gave none.
"""

from __future__ import annotations

import inspect
import sys
from asyncio import coroutines
from collections.abc import Awaitable, Callable
from typing import Any, Final

from opentelemetry.context import Context
from opentelemetry.trace import INVALID_SPAN, Span, Status, StatusCode, get_current_span

from otelctx.core.block import restore
from otelctx.core.here import enter_own, here, span_in, with_span
from otelctx.core.layers import Layer
from otelctx.core.reports import report
from otelctx.integrations.asgi.types import App, Message, Receive, Scope, Send
from otelctx.native import compiled
from otelctx.propagation.edge import echoed_headers, entry_span_of

_DENIAL: Final = "websocket.http.response"
_BEGINS: Final = frozenset({"http.response.start", "websocket.accept", f"{_DENIAL}.start"})


def mark_awaited(send: Callable[..., Any]) -> None:
    """Say that *send* is to be awaited; asgiref asks before it calls one from a thread."""
    if sys.version_info >= (3, 12):
        inspect.markcoroutinefunction(send)
    else:
        send._is_coroutine = coroutines._is_coroutine  # type: ignore[attr-defined]  # noqa: SLF001 - what that does


@compiled
def with_echo(message: Message, layer: Layer) -> Message:
    """Return *message*, which begins a response, with the headers that fields echo; one already there stays."""
    added = echoed_headers(layer)
    if not added:
        return message
    headers: list[tuple[bytes, bytes]] = list(message.get("headers") or ())
    there = {bytes(name).lower() for name, _ in headers}
    for header, text in added:
        name = header.encode()
        if name not in there:
            headers.append((name, text.encode()))
    return {**message, "headers": headers}


def echoing(send: Send, layer: Layer) -> Send:
    """Return *send* so that a response begins with the headers that fields echo."""

    async def send_with_echo(message: Message) -> None:
        await send(with_echo(message, layer) if message["type"] in _BEGINS else message)

    return send_with_echo


def refusing(send: Send, scope: Scope) -> Send:
    """
    Return *send* so that a WebSocket which the application closes instead of accepting is refused by a response.

    The server's own refusal has no headers. A server that cannot send another says so by not offering it.
    Source: https://asgi.readthedocs.io/en/latest/extensions.html#websocket-denial-response
    """
    if scope["type"] != "websocket" or _DENIAL not in (scope.get("extensions") or {}):
        return send
    decided = False

    async def send_refusal(message: Message) -> None:
        nonlocal decided
        refused, decided = not decided and message["type"] == "websocket.close", True
        if not refused:
            await send(message)
            return
        await send({"type": f"{_DENIAL}.start", "status": 403, "headers": [(b"content-length", b"0")]})
        await send({"type": f"{_DENIAL}.body", "body": b""})

    return send_refusal


@compiled
def send_in(layer: Layer, send: Send, message: Message) -> Awaitable[None]:
    """
    Call *send* so that the server, which may log, finds the server span of the request of *layer* there.

    A span that a framework makes further in may be over by then.
    """
    context, entry = here(), entry_span_of(layer)
    if entry is INVALID_SPAN or span_in(context).get_span_context().is_valid:
        return send(message)
    return send_under(with_span(context, entry), send, message)


async def send_under(context: Context, send: Send, message: Message) -> None:
    """Call *send* in *context*."""
    token = enter_own(context)
    try:
        await send(message)
    finally:
        restore(token)


def within_span(send: Send, layer: Layer) -> Send:
    """Return *send* so that the server finds the server span of the request of *layer*."""

    async def send_within_span(message: Message) -> None:
        await send_in(layer, send, message)

    return send_within_span


class Failsafe:
    """
    An application that always answers an HTTP request.

    A server answers for an application that raised, but outside of everything, so its answer would have no request
    id. This one is inside the server span and the echo. The error goes on to the server, which logs it.
    """

    def __init__(self, app: App) -> None:
        """Answer for *app*."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = False

        async def watched(message: Message) -> None:
            nonlocal begun
            begun = begun or message["type"] in _BEGINS
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception as error:
            # Once the response has begun, the server span is still open further out, and is told there.
            if not begun:
                record(get_current_span(), error)
                await answer_500(send, scope)
            raise


def record(span: Span, error: Exception) -> None:
    """Let *span* say that it ended with *error*."""
    if not span.is_recording():
        return
    try:
        span.record_exception(error)
        span.set_status(Status(StatusCode.ERROR, f"{type(error).__name__}: {error}"))
    except Exception:  # noqa: BLE001 - the text of an error is other people's code, and the error itself goes on
        report("exception.unreadable", "An exception of type %s has no text", type(error).__name__)
        span.set_status(Status(StatusCode.ERROR, type(error).__name__))


async def answer_500(send: Send, scope: Scope) -> None:
    """Send the response of a request that failed."""
    body = b"Internal Server Error"
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    if str(scope.get("http_version", "")).startswith("1"):
        # The server closes the connection after an error; the client has to know before it sends the next request.
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": 500, "headers": headers})
    await send({"type": "http.response.body", "body": body})
