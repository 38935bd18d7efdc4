"""
Responses: the id of the request on each of them, its span around them, and one for an application that gave none.
"""

from __future__ import annotations

from typing import Final

from opentelemetry.context import Context, attach
from opentelemetry.trace import Status, StatusCode, get_current_span, set_span_in_context

from otelctx.core.block import restore
from otelctx.integrations.asgi.types import App, Message, Receive, Scope, Send
from otelctx.propagation.edge import echoed_headers, entry_span_of

_BEGINS: Final = frozenset({"http.response.start", "websocket.accept", "websocket.http.response.start"})


def echoing(send: Send, context: Context) -> Send:
    """Return *send* so that a response begins with the headers that fields echo; one already there stays."""

    async def send_with_echo(message: Message) -> None:
        if message["type"] in _BEGINS:
            headers: list[tuple[bytes, bytes]] = list(message.get("headers") or ())
            there = {bytes(name).lower() for name, _ in headers}
            added = [(name.encode(), text.encode()) for name, text in echoed_headers(context)]
            headers += [(name, text) for name, text in added if name not in there]
            message = {**message, "headers": headers}
        await send(message)

    return send_with_echo


def within_span(send: Send, context: Context) -> Send:
    """
    Return *send* so that the server, which may log, finds the server span of the request of *context* there.

    A span that a framework makes further in may be over by then.
    """

    async def send_within_span(message: Message) -> None:
        if get_current_span().get_span_context().is_valid:
            await send(message)
            return
        token = attach(set_span_in_context(entry_span_of(context)))
        try:
            await send(message)
        finally:
            restore(token)

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
                _record(error)
                await _answer_500(send)
            raise


def _record(error: Exception) -> None:
    span = get_current_span()
    if span.is_recording():
        span.record_exception(error)
        span.set_status(Status(StatusCode.ERROR, f"{type(error).__name__}: {error}"))


async def _answer_500(send: Send) -> None:
    body = b"Internal Server Error"
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 500, "headers": headers})
    await send({"type": "http.response.body", "body": body})
