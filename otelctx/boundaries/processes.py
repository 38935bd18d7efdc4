"""
Process pools: a job runs in the request that submitted it, and what it logs and traces is sent before its worker ends.

Plain values cross, local ones too, since it is the same service; objects do not.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from contextvars import Context
from functools import wraps
from typing import Any, TypeVar

from opentelemetry.context import attach, get_current
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from otelctx.boundaries import ending
from otelctx.boundaries.patches import Patch
from otelctx.core.block import restore
from otelctx.core.fields import attribute_value
from otelctx.core.layers import Layer
from otelctx.core.request import Request
from otelctx.core.state import current_layer, with_layer

R = TypeVar("R")


class _Job:
    """What crosses to the worker beside the function: the trace and the values of the request, or neither."""

    __slots__ = ("carried", "headers", "values")

    def __init__(self) -> None:
        """Take along what is current."""
        self.headers: dict[str, str] = {}
        TraceContextTextMapPropagator().inject(self.headers)
        layer = current_layer()
        self.values: dict[str, Any] | None = None
        self.carried: dict[str, str] = {}
        if layer is not None and layer.request is not None:
            visible = tuple(layer.visible().items())
            self.values = {name: value for name, value in visible if attribute_value(value) is not None}
            self.carried = layer.undeclared()

    def __call__(self, function: Callable[..., R], /, *args: Any, **kwargs: Any) -> R:
        """Call *function* in the worker, as if it were where the job was made."""
        ending.flush_when_worker_ends()
        context = TraceContextTextMapPropagator().extract(self.headers, get_current())
        if self.values is not None:
            context = with_layer(context, Layer(Request(self.values, self.carried)))
        token = attach(context)
        try:
            return function(*args, **kwargs)
        finally:
            restore(token)


def _submit(original: Callable[..., Future[Any]]) -> Callable[..., Future[Any]]:
    @wraps(original)
    def submit(self: ProcessPoolExecutor, fn: Callable[..., R], /, *args: Any, **kwargs: Any) -> Future[R]:
        # In an empty context, so that a worker which this call forks does not live in the first submitter's.
        return Context().run(original, self, _Job(), fn, *args, **kwargs)

    return submit


_PATCH = Patch(ProcessPoolExecutor, "submit", _submit)


def install() -> None:
    """Let process pools carry the request, and workers of `multiprocessing` send what they hold before they end."""
    _PATCH.install()
    ending.install()


def uninstall() -> None:
    """Restore what Python does by itself."""
    ending.uninstall()
    _PATCH.uninstall()
