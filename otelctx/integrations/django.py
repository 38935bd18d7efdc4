"""
Django: the edge around every WSGI application.

Under ASGI the server has the edge. There OpenTelemetry's middleware for Django, which stands outermost in Django, makes
the server span and knows the route, so the edge leaves the span to it.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any, Final

from otelctx.boundaries.patches import Patch

_MOST_MIDDLEWARE: Final = 32


def patch(wsgi: ModuleType, at_the_edge: Callable[[Any], Any]) -> Patch:
    """Put the edge around calls of the ``WSGIHandler`` of module *wsgi*, ``django.core.handlers.wsgi``."""
    return Patch(wsgi.WSGIHandler, "__call__", at_the_edge)


def makes_its_own_span(app: Any) -> bool:
    """Tell whether *app*, an ASGI application or a middleware around one, is Django's with its instrumentation on."""
    for _ in range(_MOST_MIDDLEWARE):
        names = {(kind.__module__, kind.__name__) for kind in type(app).__mro__}
        if ("django.core.handlers.asgi", "ASGIHandler") in names:
            return _is_instrumented()
        app = getattr(app, "app", None)
    return False


def _is_instrumented() -> bool:
    try:
        from opentelemetry.instrumentation.django import DjangoInstrumentor  # noqa: PLC0415 - an optional dependency
    except ImportError:
        return False
    return bool(DjangoInstrumentor().is_instrumented_by_opentelemetry)
