"""
The server span of an ASGI request, made by ``opentelemetry-instrumentation-asgi`` at the edge: one a request.

OpenTelemetry's middleware inside an application, put there by the instrumentation of its framework, joins this span:
it gives it the framework's name and route, and neither makes a second span nor counts the request twice.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from copy import copy
from functools import wraps
from typing import Any, Final

from opentelemetry.context import Context, attach
from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware, collect_custom_headers_attributes
from opentelemetry.instrumentation.propagators import get_global_response_propagator
from opentelemetry.instrumentation.utils import is_http_instrumentation_enabled
from opentelemetry.trace import Span, get_current_span, set_span_in_context
from opentelemetry.util.http import (
    ExcludeList,
    get_excluded_urls,
    normalise_request_header_name,
    normalise_response_header_name,
)

from otelctx.boundaries.patches import Patch
from otelctx.core.block import restore
from otelctx.core.here import here
from otelctx.core.layers import Layer
from otelctx.core.state import current_request
from otelctx.integrations.asgi.headers import Headers
from otelctx.integrations.asgi.measures import Measures
from otelctx.integrations.asgi.semantics import semantics_of
from otelctx.integrations.asgi.traced_exchange import ROUTE_MARK, TracedExchange
from otelctx.integrations.asgi.types import App, Message, Receive, Scope, Send
from otelctx.propagation.edge import MARK, SPAN_MARK
from otelctx.signals.metrics import FieldHistogram

# A route may be excluded under the name of its framework; at the edge there is one list for all.
_NAMES: Final = ("ASGI", "FASTAPI", "STARLETTE")


class _Excluded(ExcludeList):
    """All lists of URLs that are not to be traced, together."""

    def __init__(self, lists: tuple[ExcludeList, ...]) -> None:
        super().__init__([])
        self._lists = lists

    def exclude_something(self) -> bool:
        # Where a list does not tell what it excludes, it may be something.
        return any(getattr(urls, "_excluded_urls", True) for urls in self._lists)

    def url_disabled(self, url: str) -> bool:
        return any(urls.url_disabled(url) for urls in self._lists)


class _Inside:
    """
    An application that is in the request of its scope, also where the configured propagator knows nothing of requests.

    OpenTelemetry's middleware makes current what that propagator extracts, and nothing else.
    """

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        opened = scope.get(MARK)
        if opened is None or current_request() is current_request(opened):
            await self._app(scope, receive, send)
            return
        token = attach(set_span_in_context(get_current_span(), opened))
        try:
            await self._app(scope, receive, send)
        finally:
            restore(token)


class ServerSpan:
    """
    An application whose requests have a server span and the server's metrics.

    There is no span for each ``send`` and ``receive``; they tell nothing that the server span does not.
    """

    def __init__(self, app: App) -> None:
        """Serve *app*, and let OpenTelemetry's middleware inside it join."""
        _JOIN.install()
        excluded = _Excluded(tuple(get_excluded_urls(name) for name in _NAMES))
        self._middleware = middleware = OpenTelemetryMiddleware(
            _Inside(app),
            excluded_urls=excluded,
            server_request_hook=_mark,
            exclude_spans=["receive", "send"],
        )
        captures = middleware.http_capture_headers_server_request or middleware.http_capture_headers_server_response
        semantics = None if captures or excluded.exclude_something() else semantics_of(middleware)
        self._measures = None if semantics is None else Measures(middleware, semantics)

    def exchange(
        self, scope: Scope, headers: Headers, send: Send, layer: Layer, opened: Context
    ) -> TracedExchange | None:
        """Return what serves the HTTP request of *scope*, or None if OpenTelemetry's middleware is to."""
        if self._measures is None:
            return None
        if get_global_response_propagator() is not None:
            return None
        # An empty Context, as under a server, suppresses nothing.
        if here() and not is_http_instrumentation_enabled():
            return None
        return TracedExchange(self._middleware.tracer, self._measures, scope, headers, send, layer, opened)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        # A copy for each request, since the middleware keeps the length of the response on itself.
        middleware = copy(self._middleware)
        route: dict[str, Any] = scope.setdefault(ROUTE_MARK, {})
        for name in ("duration_histogram_old", "duration_histogram_new"):
            histogram = getattr(middleware, name)
            if histogram is not None:
                setattr(middleware, name, FieldHistogram(histogram, route if name.endswith("new") else {}))
        await middleware(scope, receive, send)


def _mark(span: Span, scope: Scope) -> None:
    scope[SPAN_MARK] = span
    request = current_request(scope.get(MARK))
    if request is not None:
        # The span processor has done so already if the span records; one that does not has a trace id all the same.
        request.entry_span = span


def _joining(original: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    @wraps(original)
    async def __call__(self: Any, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: N807 - its name
        span: Span | None = scope.get(SPAN_MARK)
        if span is None or not _may_join(self, span):
            await original(self, scope, receive, send)
            return
        name, attributes = self.default_span_details(scope)
        scope.setdefault(ROUTE_MARK, {}).update(attributes)
        if span.is_recording():
            span.update_name(name)
            span.set_attributes(attributes)
        _capture(self, span, scope, self.http_capture_headers_server_request, normalise_request_header_name)
        if self.server_request_hook is not None:
            self.server_request_hook(span, scope)

        async def send_captured(message: Message) -> None:
            _capture(self, span, message, self.http_capture_headers_server_response, normalise_response_header_name)
            await send(message)

        await self.app(scope, receive, send_captured if self.http_capture_headers_server_response else send)

    return __call__


def _may_join(middleware: Any, span: Span) -> bool:
    """Tell whether *span* is all that *middleware* wants: no provider of its own, no hooks for further spans."""
    if middleware.client_request_hook is not None or middleware.client_response_hook is not None:
        return False
    resource = getattr(middleware.tracer, "resource", None)
    return resource is None or resource is getattr(span, "resource", resource)


def _capture(
    middleware: Any, span: Span, carrier: Scope, names: list[str] | None, normalised: Callable[[str], str]
) -> None:
    if names and span.is_recording() and "headers" in carrier:
        sanitize = middleware.http_capture_headers_sanitize_fields
        span.set_attributes(collect_custom_headers_attributes(dict(carrier), sanitize, names, normalised))


_JOIN: Final = Patch(OpenTelemetryMiddleware, "__call__", _joining)
