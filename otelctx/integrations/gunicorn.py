"""gunicorn: access log lines of WSGI workers carry the request that they tell of."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from types import ModuleType
from typing import Any

from otelctx.boundaries.patches import Patch


def patch(glogging: ModuleType, in_request_of: Callable[..., Any]) -> Patch:
    """Let the ``Logger`` of module *glogging*, ``gunicorn.glogging``, write access lines in their request."""

    def logging_access(original: Callable[..., None]) -> Callable[..., None]:
        @wraps(original)
        def access(self: Any, resp: Any, req: Any, environ: dict[str, Any], request_time: Any) -> None:
            in_request_of(environ, original, self, resp, req, environ, request_time)

        return access

    return Patch(glogging.Logger, "access", logging_access)
