"""
Capture: what telemetry a test has caused, and with which headers it has called out.

It is taken where it leaves the application: spans that have ended, log records as handlers get them, headers as a
propagator has written them. Nothing of it is kept from the exporters that the application may have.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from typing import Any, Final
from weakref import WeakSet

from opentelemetry import baggage, trace
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context
from opentelemetry.propagators.textmap import Setter, default_setter
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider

from otelctx.boundaries.patches import Patch, Patches
from otelctx.propagation.beside import RequestOpening
from otelctx.propagation.passage import open_passage
from otelctx.propagation.propagator import OtelctxPropagator
from otelctx.propagation.unknown import is_followed


class Capture:
    """
    What a test has caused so far.

    Attributes:
        spans: those that have ended, in the order of their ends.
        logs: records of the standard library's logging that reach the root logger; each field is an attribute.
        outgoing: the headers, as they left, of each outgoing call, hop of a redirect and program that is started.
    """

    def __init__(self) -> None:
        """Begin with nothing."""
        self.spans: list[ReadableSpan] = []
        self.logs: list[logging.LogRecord] = []
        self.outgoing: list[dict[str, str]] = []

    @property
    def baggage(self) -> list[Mapping[str, object]]:
        """Of each outgoing call, the baggage that left with it, decoded."""
        reader = W3CBaggagePropagator()
        return [baggage.get_all(reader.extract(headers, Context())) for headers in self.outgoing]


class _Spans(SpanProcessor):
    """Hands spans to the captures that are open."""

    def on_end(self, span: ReadableSpan) -> None:
        for capture in _open:
            capture.spans.append(span)


class _Logs(logging.Handler):
    """Hands log records to one capture."""

    def __init__(self, capture: Capture) -> None:
        super().__init__()
        self._capture = capture

    def emit(self, record: logging.LogRecord) -> None:
        self._capture.logs.append(record)


class _Headers(Setter[Any]):
    """Sets headers with another setter, and remembers them."""

    def __init__(self, inner: Setter[Any]) -> None:
        self._inner = inner
        self.headers: dict[str, str] = {}

    def set(self, carrier: Any, key: str, value: str) -> None:
        self._inner.set(carrier, key, value)
        self.headers[key] = value


def _inject(original: Callable[..., None]) -> Callable[..., None]:
    @wraps(original)
    def inject(self: Any, carrier: Any, context: Context | None = None, setter: Setter[Any] = default_setter) -> None:
        # A propagator may call another one for a part of the headers.
        if isinstance(setter, _Headers):
            original(self, carrier, context, setter)
            return
        noting = _Headers(setter)
        original(self, carrier, context, noting)
        passage = open_passage()
        # With one call an instrumentation may inject as well: before the gate, or inside of it once more.
        if passage is None and is_followed():
            return
        headers = noting.headers if passage is None else passage.written
        for capture in _open:
            if headers and not any(headers is other for other in capture.outgoing):
                capture.outgoing.append(headers)

    return inject


_open: Final[list[Capture]] = []
_attached: Final[WeakSet[TracerProvider]] = WeakSet()
_PATCHES: Final = Patches(Patch(OtelctxPropagator, "inject", _inject), Patch(RequestOpening, "inject", _inject))


@contextmanager
def capturing() -> Iterator[Capture]:
    """Capture what happens in the block."""
    capture = Capture()
    handler = _Logs(capture)
    _attach_to_provider()
    _open.append(capture)
    _PATCHES.install()
    logging.getLogger().addHandler(handler)
    try:
        yield capture
    finally:
        logging.getLogger().removeHandler(handler)
        _open.remove(capture)
        if not _open:
            _PATCHES.uninstall()


def _attach_to_provider() -> None:
    # A provider is set once in a process, and keeps its processors; so ours stays and only the captures change.
    if isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        trace.set_tracer_provider(TracerProvider(shutdown_on_exit=False))
    provider = trace.get_tracer_provider()
    if not isinstance(provider, TracerProvider):
        raise TypeError(f"Spans can be captured of OpenTelemetry's SDK, not of a {type(provider).__name__}")
    if provider not in _attached:
        _attached.add(provider)
        provider.add_span_processor(_Spans())
