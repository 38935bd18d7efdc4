"""
The edges of servers and frameworks, put in place when their modules are imported, and only then.

What an application does not use is never imported, so installing costs next to nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from types import ModuleType
from typing import Any, Final

from otelctx.boundaries import ending
from otelctx.boundaries.imported import OnImport
from otelctx.boundaries.patches import Patch
from otelctx.integrations import django, flask, granian, grpc_server, gunicorn, hypercorn, uvicorn, werkzeug


def _asgi_edge(app: Any) -> Any:
    from otelctx.integrations.asgi import OtelctxMiddleware  # noqa: PLC0415 - only where a server is

    return OtelctxMiddleware(app, traced=not django.makes_its_own_span(app), owns_task=True)


def _wsgi_edge(original: Any) -> Any:
    from otelctx.integrations.wsgi import at_the_edge  # noqa: PLC0415 - only where a framework is

    return at_the_edge(original)


def _in_request_of(*args: Any, **kwargs: Any) -> Any:
    from otelctx.integrations.wsgi import in_request_of  # noqa: PLC0415 - only where a server is

    return in_request_of(*args, **kwargs)


_EDGES: Final[dict[str, tuple[Callable[[ModuleType, Any], Patch], Any]]] = {
    "uvicorn.config": (uvicorn.patch, _asgi_edge),
    "uvicorn.server": (uvicorn.end_patch, ending.flush),
    "hypercorn.app_wrappers": (hypercorn.patch, _asgi_edge),
    "granian.server.mp": (granian.patch, _asgi_edge),
    "granian.server.mt": (granian.patch, _asgi_edge),
    "granian.server.embed": (granian.patch, _asgi_edge),
    "gunicorn.glogging": (gunicorn.patch, _in_request_of),
    "werkzeug.serving": (werkzeug.patch, _in_request_of),
    "flask.app": (flask.patch, _wsgi_edge),
    "django.core.handlers.wsgi": (django.patch, _wsgi_edge),
}


def _patches(make: Callable[[ModuleType, Any], Patch], edge: Any, module: ModuleType) -> tuple[Patch]:
    return (make(module, edge),)


_ON_IMPORT: Final = OnImport(
    {
        **{name: partial(_patches, make, edge) for name, (make, edge) in _EDGES.items()},
        "opentelemetry.instrumentation.grpc._server": lambda module: (grpc_server.patch(module),),
    }
)

install, uninstall = _ON_IMPORT.install, _ON_IMPORT.uninstall
