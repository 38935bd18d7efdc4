"""
granian: the edge around every ASGI application it serves.

granian has no public place for this; where its private one is gone, the application is served without the edge.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from types import ModuleType
from typing import Any, Final

from otelctx.boundaries.patches import Patch

_NAME: Final = "_asgi_call_wrap"


def patch(server: ModuleType, edge: Callable[[Any], Any]) -> Patch:
    """Let module *server*, one of ``granian.server.mp``, ``.mt`` and ``.embed``, put *edge* around its application."""

    def wrapping(original: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(original)
        def call_wrap(callback: Any, *args: Any, **kwargs: Any) -> Any:
            return original(edge(callback), *args, **kwargs)

        return call_wrap

    return Patch(server, _NAME, wrapping)
