"""hypercorn: the edge around every ASGI application it serves."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from types import ModuleType
from typing import Any

from otelctx.boundaries.patches import Patch


def patch(app_wrappers: ModuleType, edge: Callable[[Any], Any]) -> Patch:
    """Let the ``ASGIWrapper`` of *app_wrappers*, ``hypercorn.app_wrappers``, put *edge* around its application."""

    def making(original: Callable[[Any, Any], None]) -> Callable[[Any, Any], None]:
        @wraps(original)
        def __init__(self: Any, app: Any) -> None:  # noqa: N807 - its name
            original(self, edge(app))

        return __init__

    return Patch(app_wrappers.ASGIWrapper, "__init__", making)
