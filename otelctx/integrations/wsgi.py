"""
The WSGI edge: one request for each call of the application, its response body included, and its id on the response.

The application and its body run in a `contextvars.Context` of their own. The server's thread never has a request in
it, so the next one on the same thread begins clean.

Source: https://peps.python.org/pep-3333/
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextvars import Context, copy_context
from functools import lru_cache, wraps
from typing import Any, Final, ParamSpec, TypeVar

from opentelemetry.context import attach
from opentelemetry.propagators.textmap import Getter
from opentelemetry.trace import set_span_in_context

from otelctx.core.request import Request
from otelctx.core.state import current_request
from otelctx.core.watching import request_ended
from otelctx.propagation.crossing import propagator
from otelctx.propagation.edge import MARK, echoed_headers, opened_at, without_span
from otelctx.propagation.peers import environ_peer

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
App = Callable[[Environ, StartResponse], Iterable[bytes]]

P = ParamSpec("P")
R = TypeVar("R")

_INSIDE: Final = "otelctx.inside"


@lru_cache
def _variable(key: str) -> str:
    return "HTTP_" + key.upper().replace("-", "_")


class HeaderGetter(Getter[Environ]):
    """
    Reads the headers of a WSGI environ.

    It has one value for ``X-Request-Id`` and ``X_Request_Id``; servers leave the latter out, or else join the two.
    """

    otelctx_peer = staticmethod(environ_peer)

    def get(self, carrier: Environ, key: str) -> list[str] | None:
        """Return the value of header *key*; a server joins repeated headers with commas."""
        value = carrier.get(_variable(key))
        return None if value is None else [value]

    def keys(self, carrier: Environ) -> list[str]:
        """Return the names of all headers."""
        return [name[5:].lower().replace("_", "-") for name in carrier if name.startswith("HTTP_")]


_getter: Final = HeaderGetter()


class OtelctxMiddleware:
    """Serve a WSGI application with a request around each of its calls."""

    def __init__(self, app: App) -> None:
        """Stand in front of *app*."""
        self.app = app

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """
        Serve one request; one that is opened already passes as it is.

        That may be by another WSGI edge, or by an ASGI one around what adapts the application to ASGI.
        """
        if MARK in environ or _is_served():
            return self.app(environ, start_response)
        layer, opened = opened_at(environ, propagator().extract(environ, getter=_getter))
        inside = copy_context()
        inside.run(attach, without_span(opened))
        environ[_INSIDE] = inside

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            there = {name.lower() for name, _ in headers}
            echoed = [pair for pair in echoed_headers(layer) if pair[0] not in there]
            return start_response(status, [*headers, *echoed], *((exc_info,) if exc_info else ()))

        request = layer.request
        try:
            body = inside.run(self.app, environ, start)
        except BaseException:
            request_ended(request)
            raise
        # A server sends these by a faster way that it knows them for, and they run no code of the application.
        file_wrapper = environ.get("wsgi.file_wrapper")
        if isinstance(body, (list, tuple)) or (isinstance(file_wrapper, type) and isinstance(body, file_wrapper)):
            request_ended(request)
            return body
        return _Body(inside, body, request)


def _is_served() -> bool:
    request = current_request()
    return request is not None and request.served


class _Body:
    """A response body whose every step runs in the request."""

    __slots__ = ("_body", "_inside", "_request", "_steps")

    def __init__(self, inside: Context, body: Iterable[bytes], request: Request | None) -> None:
        self._request = request
        self._inside = inside
        self._body = body
        self._steps: Iterator[bytes] | None = None

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self._steps is None:
            self._steps = self._inside.run(iter, self._body)
        return self._inside.run(next, self._steps)

    def close(self) -> None:
        close = getattr(self._body, "close", None)
        try:
            if close is not None:
                self._inside.run(close)
        finally:
            request_ended(self._request)


def at_the_edge(original: Callable[..., Iterable[bytes]]) -> Callable[..., Iterable[bytes]]:
    """Return the ``__call__`` of a framework's application class, *original*, with the edge around it."""

    @wraps(original)
    def __call__(self: Any, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:  # noqa: N807 - its name
        return OtelctxMiddleware(original.__get__(self))(environ, start_response)

    return __call__


def in_request_of(environ: object, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Call *function*, a server's that logs, in the request that *environ* was served in, if it was."""
    served: Context | None = environ.get(_INSIDE) if isinstance(environ, dict) else None
    if served is None:
        return function(*args, **kwargs)
    # A copy, because the server may log while the application is running.
    inside = served.copy()
    inside.run(_enter_entry_span)
    return inside.run(function, *args, **kwargs)


def _enter_entry_span() -> None:
    request = current_request()
    if request is not None:
        attach(set_span_in_context(request.entry_span))
