"""werkzeug's development server: its access log lines carry the request that they tell of."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from types import ModuleType
from typing import Any

from otelctx.boundaries.patches import Patch


def patch(serving: ModuleType, in_request_of: Callable[..., Any]) -> Patch:
    """Let the handler of module *serving*, ``werkzeug.serving``, write log lines in their request."""

    def logging_it(original: Callable[..., None]) -> Callable[..., None]:
        @wraps(original)
        def log(self: Any, *args: Any, **kwargs: Any) -> None:
            in_request_of(getattr(self, "environ", None), original, self, *args, **kwargs)

        return log

    return Patch(serving.WSGIRequestHandler, "log", logging_it)
