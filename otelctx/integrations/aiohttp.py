"""
aiohttp: the gate around each single request of a session, after its redirects, proxies and middlewares; WebSockets too.

The headers of the request are put back, so what sends it again begins with what the application has set.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import wraps
from types import ModuleType
from typing import Any

from otelctx.boundaries.patches import Patch, Patches
from otelctx.propagation.destination import known
from otelctx.propagation.gate import attempt, passage_to


def gates(client_reqrep: ModuleType) -> Patches:
    """Let the requests of module *client_reqrep*, ``aiohttp.client_reqrep``, stop at the gate."""
    return Patches(Patch(client_reqrep.ClientRequest, "send", _send))


def _send(original: Callable[[Any, Any], Awaitable[Any]]) -> Callable[[Any, Any], Awaitable[Any]]:
    @wraps(original)
    async def send(self: Any, conn: Any) -> Any:
        headers = self.headers
        self.headers = attempt(_at_gate, headers, self)
        try:
            return await original(self, conn)
        finally:
            self.headers = headers

    return send


def _at_gate(request: Any) -> Any:
    url, headers = request.url, request.headers
    # What a proxy is told to open a tunnel is no request for the target.
    is_request = request.method != "CONNECT"
    passage = passage_to(known(url.scheme, url.raw_host or "", url.port), headers.get) if is_request else None
    if passage is None:
        return headers
    result = headers.copy()
    passage.write_to(result)
    return result
