"""
Losses: what happens in no request although a request has started the work that it happens in.

A log line, a span, an outgoing call and a look for a required field are where a lost context shows.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import wraps
from typing import Any

from opentelemetry.context import Context
from opentelemetry.sdk.trace import Tracer

from otelctx.boundaries.patches import Patch, Patches
from otelctx.core.request import AmbientRequest
from otelctx.core.state import current_request
from otelctx.detect import findings, works
from otelctx.detect.places import place_here
from otelctx.errors import DetectionError
from otelctx.propagation.beside import RequestOpening
from otelctx.propagation.propagator import OtelctxPropagator

# What these say is about the telemetry, and of no request.
_OF_TELEMETRY = ("otelctx", "opentelemetry")


def look(what: str, context: Context | None = None) -> DetectionError | None:
    """Tell of *what* happens here, if it is lost. Return what to raise for it, where that is safe."""
    request = current_request(context)
    if request is not None and not isinstance(request, AmbientRequest):
        return None
    work = works.work_here()
    return None if work is None else findings.loss(what, work.kind, work.place, place_here())


def _handle(original: Callable[..., None]) -> Callable[..., None]:
    @wraps(original)
    def handle(self: logging.Logger, record: logging.LogRecord) -> None:
        if not record.name.startswith(_OF_TELEMETRY):
            look("a log line")
        original(self, record)

    return handle


def _start_span(original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def start_span(self: Tracer, name: str, context: Context | None = None, *args: Any, **kwargs: Any) -> Any:
        look("a span", context)
        return original(self, name, context, *args, **kwargs)

    return start_span


def _inject(original: Callable[..., None]) -> Callable[..., None]:
    @wraps(original)
    def inject(self: Any, carrier: Any, context: Context | None = None, *args: Any, **kwargs: Any) -> None:
        look("an outgoing call", context)
        original(self, carrier, context, *args, **kwargs)

    return inject


_PATCHES = Patches(
    Patch(logging.Logger, "handle", _handle),
    Patch(Tracer, "start_span", _start_span),
    Patch(OtelctxPropagator, "inject", _inject),
    Patch(RequestOpening, "inject", _inject),
)

install, uninstall = _PATCHES.install, _PATCHES.uninstall
