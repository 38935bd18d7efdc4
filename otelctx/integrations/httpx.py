"""
httpx: the gate around each single request of a client, after its redirects, authentication and event hooks.

The transport, with OpenTelemetry's instrumentation on it, is inside. What was written stays on the request, where tests
and logs look for it, and is known again when a redirect copies it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from functools import wraps
from types import ModuleType
from typing import Any, Final

from otelctx.boundaries.patches import Patch, Patches
from otelctx.propagation.destination import known
from otelctx.propagation.gate import attempt, passage_to
from otelctx.propagation.passage import Passage

# httpx hands the extensions of a request on to the one that a redirect makes of it.
_EARLIER: Final = "otelctx.passage"


def gates(httpx: ModuleType) -> Patches:
    """Let the clients of module *httpx* stop at the gate."""
    client, asynchronous = httpx.Client, httpx.AsyncClient
    if hasattr(client, "_send_single_request") and hasattr(asynchronous, "_send_single_request"):
        return Patches(
            Patch(client, "_send_single_request", _send), Patch(asynchronous, "_send_single_request", _send_async)
        )
    # Where these private methods are gone: then transports of the application's own have no gate.
    return Patches(
        Patch(httpx.HTTPTransport, "handle_request", _send),
        Patch(httpx.AsyncHTTPTransport, "handle_async_request", _send_async),
    )


def _send(original: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    @wraps(original)
    def send(self: Any, request: Any) -> Any:
        with attempt(_at_gate, None, request) or nullcontext():
            return original(self, request)

    return send


def _send_async(original: Callable[[Any, Any], Awaitable[Any]]) -> Callable[[Any, Any], Awaitable[Any]]:
    @wraps(original)
    async def send(self: Any, request: Any) -> Any:
        with attempt(_at_gate, None, request) or nullcontext():
            return await original(self, request)

    return send


def _at_gate(request: Any) -> Passage | None:
    url, headers = request.url, request.headers
    earlier = request.extensions.get(_EARLIER)
    destination = known(url.scheme, url.raw_host.decode("ascii"), url.port)

    def present(name: str) -> Any:
        return headers[name] if name in headers else None  # noqa: SIM401 - `get` takes twice the time of a look

    passage = passage_to(destination, present, earlier if isinstance(earlier, Passage) else None)
    if passage is not None:
        passage.write_to(headers)
        # A mapping of the caller's, which older versions keep as it is, may be that of several requests.
        request.extensions = {**request.extensions, _EARLIER: passage}
    return passage
