"""
urllib3: the gate around each attempt on a connection. requests and botocore send through it.

All instrumentation of OpenTelemetry stands outside. The headers of the caller are never changed, so a retry and a
redirect begin with what the application has set.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from types import ModuleType
from typing import Any

from otelctx.boundaries.patches import Patch, Patches
from otelctx.propagation.destination import Destination, known, known_url
from otelctx.propagation.gate import attempt, passage_to
from otelctx.propagation.passage import text_of


def gates(connectionpool: ModuleType) -> Patches:
    """Let the pools of module *connectionpool*, ``urllib3.connectionpool``, stop at the gate."""
    return Patches(Patch(connectionpool.HTTPConnectionPool, "_make_request", _make_request))


def _make_request(original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def make_request(self: Any, conn: Any, method: str, url: str, *args: Any, **kwargs: Any) -> Any:
        if "headers" in kwargs:
            kwargs["headers"] = attempt(_at_gate, kwargs["headers"], self, url, kwargs["headers"])
        return original(self, conn, method, url, *args, **kwargs)

    return make_request


def _at_gate(pool: Any, url: str, headers: Any) -> Any:
    present = {text_of(name).lower(): text for name, text in headers.items()} if headers else {}
    passage = passage_to(_destination(pool, url), present.get)
    if passage is None:
        return headers
    result = headers.copy() if hasattr(headers, "copy") else dict(headers or {})
    passage.write_to(result)
    return result


def _destination(pool: Any, url: str) -> Destination | None:
    # A proxy of plain HTTP is told the whole URL; its own address is the pool's.
    if getattr(pool, "proxy", None) is None or url.startswith("/"):
        return known(pool.scheme, pool.host, pool.port)
    return known_url(url)
