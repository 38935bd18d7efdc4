"""
Jobs: a call in another process, in the request that handed it over.

The values of the request, its undeclared baggage and the trace cross; local fields too, since it is the same service.
The other process has a copy: what a job sets there is seen there, for as long as the job takes.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import copy_context
from typing import Any, TypeVar

from opentelemetry.context import Context, attach
from opentelemetry.trace import get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from otelctx.boundaries import ending
from otelctx.boundaries.packing import Package, UnpackedValues, pack, unpack
from otelctx.core.layers import Layer
from otelctx.core.request import Request
from otelctx.core.state import current_layer, current_request, with_layer
from otelctx.core.watching import request_ended

R = TypeVar("R")


class Job:
    """What crosses beside the function: the trace, the values and the baggage of here, or nothing."""

    __slots__ = ("in_request", "members", "package", "properties", "trace")

    def __init__(self) -> None:
        """Take along what is current."""
        self.trace: dict[str, str] = {}
        TraceContextTextMapPropagator().inject(self.trace)
        layer = current_layer()
        self.in_request = layer is not None and layer.request is not None
        self.package = Package() if layer is None else _packed(layer)
        self.members = {} if layer is None else layer.undeclared()
        self.properties = None if layer is None else layer.properties()

    def __call__(self, function: Callable[..., R], /, *args: Any, **kwargs: Any) -> R:
        """
        Call *function* over there, as if it were here.

        It runs in a copy of the worker's context, so nothing that it leaves attached is there for the next job.
        """
        from otelctx.boundaries import processes  # noqa: PLC0415 - which sends jobs, and needs this module for it

        # A job may have jobs of its own, in a process that a start method has made from nothing.
        processes.install()
        ending.flush_when_worker_ends()
        return copy_context().run(self._run, function, *args, **kwargs)

    def _run(self, function: Callable[..., R], /, *args: Any, **kwargs: Any) -> R:
        attach(self.context())
        try:
            return function(*args, **kwargs)
        finally:
            request_ended(current_request() if self.in_request else None)

    def context(self) -> Context:
        """Return the Context over there. Nothing of the worker's own is in it."""
        context = TraceContextTextMapPropagator().extract(self.trace, Context())
        values = unpack(self.package)
        if self.in_request:
            hidden = dict.fromkeys(name for name, value in values.items() if value is None)
            request = Request(values, self.members, self.properties)
            # An id that was hidden here is not made up over there.
            request.values.update(hidden)
            return with_layer(context, Layer(request))
        if values or self.members:
            return with_layer(context, Layer(None, None, values, dict(self.members)))
        return context


class JobOf:
    """A function as a job; it crosses instead of *function* itself."""

    __slots__ = ("_function", "_job")

    def __init__(self, job: Job, function: Callable[..., Any]) -> None:
        """Join the two."""
        self._job = job
        self._function = function

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function in the request that the job is of."""
        return self._job(self._function, *args, **kwargs)


def is_anything_here() -> bool:
    """Tell whether a job made here would take anything along."""
    return current_layer() is not None or get_current_span().get_span_context().is_valid


def _packed(layer: Layer) -> Package:
    held = None if layer.request is None else layer.request.values
    return pack(layer.visible(), held.left_behind if isinstance(held, UnpackedValues) else ())
