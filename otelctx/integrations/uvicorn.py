"""
uvicorn: the edge around every application it serves, under its own command, workers, reload and gunicorn.

It stands inside uvicorn's handling of proxy headers, so that the client is who the proxy says it is.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from types import ModuleType
from typing import Any

from otelctx.boundaries.patches import Patch


def patch(config: ModuleType, edge: Callable[[Any], Any]) -> Patch:
    """Let the ``Config`` of module *config*, ``uvicorn.config``, put *edge* around the application it loads."""

    def loading(original: Callable[[Any], None]) -> Callable[[Any], None]:
        @wraps(original)
        def load(self: Any) -> None:
            original(self)
            outer = self.loaded_app
            if type(outer).__name__ == "ProxyHeadersMiddleware":
                outer.app = edge(outer.app)
            else:
                self.loaded_app = edge(outer)

        return load

    return Patch(config.Config, "load", loading)
