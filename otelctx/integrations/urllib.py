"""
urllib: the gate around each single request of an opener, after its redirects and proxies.

What is sent is a copy of the caller's `Request`, so a redirect begins with what the application has set.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from functools import wraps
from types import ModuleType
from typing import Any

from otelctx.boundaries.patches import Patch, Patches
from otelctx.propagation.destination import known_url
from otelctx.propagation.gate import attempt, passage_to


def gates(request: ModuleType) -> Patches:
    """Let the handlers of module *request*, ``urllib.request``, stop at the gate."""
    return Patches(Patch(request.AbstractHTTPHandler, "do_open", _do_open))


def _do_open(original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def do_open(self: Any, http_class: Any, req: Any, **http_conn_args: Any) -> Any:
        return original(self, http_class, attempt(_at_gate, req, req), **http_conn_args)

    return do_open


def _at_gate(request: Any) -> Any:
    headers, unredirected = request.headers, request.unredirected_hdrs
    present = {name.lower(): text for name, text in (*headers.items(), *unredirected.items())}
    # A proxy has taken the place of the host, not that of the URL.
    passage = passage_to(known_url(request.full_url), present.get)
    if passage is None:
        return request
    result = copy(request)
    result.headers, result.unredirected_hdrs = {**headers}, {**unredirected}
    passage.write_to(result.headers)
    passage.take_off(result.unredirected_hdrs)
    return result
