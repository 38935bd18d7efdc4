"""
The start of a span: what the SDK's tracer does, in a fraction of its time.

The sampler, the id generator, the limits and the processors are the tracer's own, and they see what they always see.
A tracer of another class is left alone, and so is an SDK that is made in another way than the ones known here.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from contextvars import Token
from random import getrandbits
from types import TracebackType
from typing import Any, Final

from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Tracer, TracerProvider
from opentelemetry.sdk.trace.id_generator import IdGenerator, RandomIdGenerator
from opentelemetry.sdk.trace.sampling import DEFAULT_ON, Decision
from opentelemetry.trace import (
    DEFAULT_TRACE_STATE,
    INVALID_SPAN,
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
)
from opentelemetry.util.types import Attributes

try:
    from opentelemetry.sdk.trace._tracer_metrics import NoOpTracerMetrics
except ImportError:  # 1.40 and 1.41, whose tracers are left alone
    NoOpTracerMetrics = None  # type: ignore[assignment,misc]

from otelctx.boundaries.patches import Patch, Patches
from otelctx.core.block import restore
from otelctx.core.here import enter, here, span_in, with_span
from otelctx.native import compiled
from otelctx.signals.recording import RecordingSpan
from otelctx.signals.span_state import SpanState

_SAMPLED: Final = TraceFlags.SAMPLED
_RANDOM: Final = 0x02  # W3C's random-trace-id, which older SDKs have no name for
FLAGS: Final = tuple(TraceFlags(number) for number in range(4))

# What is used of a tracer beside its public attributes; checked with 1.42 to 1.45; 1.40 and 1.41 lack some.
_PRIVATE: Final = ("_span_limits", "_instrumentation_scope", "_tracer_config", "_tracer_metrics")


@compiled
def starting(original: Callable[..., Span]) -> Callable[..., Span]:
    """Return what starts a span as *original* does, in less time."""
    identified, unmade = tuple.__new__, SpanState.__new__

    @functools.wraps(original)
    def start_span(  # noqa: PLR0917 - its signature
        self: Any,
        name: str,
        context: Context | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Attributes = None,
        links: Sequence[Link] | None = (),
        start_time: int | None = None,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
    ) -> Span:
        if type(self) is not Tracer or not self._tracer_config.is_enabled:
            options = (start_time, record_exception, set_status_on_exception)
            return original(self, name, context, kind, attributes, links, *options)
        parent: SpanContext | None = span_in(here() if context is None else context).get_span_context()
        ids = self.id_generator
        # A SpanContext is a tuple; its properties are calls.
        outer: tuple[int, int, bool, int, TraceState | None, bool] = parent  # type: ignore[assignment]
        trace_id, _, _, outer_flags, state, is_valid = outer
        if is_valid:
            is_random = bool(outer_flags & _RANDOM)
        else:
            parent, outer_flags, state = None, _SAMPLED, None
            trace_id, is_random = ids.generate_trace_id(), ids.is_trace_id_random()
        sampler = self.sampler
        if sampler is DEFAULT_ON:
            is_sampled = is_recording = bool(outer_flags & _SAMPLED)
            decision = Decision.RECORD_AND_SAMPLE if is_sampled else Decision.DROP
        else:
            result = sampler.should_sample(context, trace_id, name, kind, attributes, links or ())
            decision, state, attributes = result.decision, result.trace_state, result.attributes
            is_sampled = decision is Decision.RECORD_AND_SAMPLE
            is_recording = decision is not Decision.DROP
        flags = FLAGS[(_SAMPLED if is_sampled else 0) | (_RANDOM if is_random else 0)]
        if type(ids) is RandomIdGenerator:
            # Past the constructor, which asks whether the ids are valid: these are.
            state = DEFAULT_TRACE_STATE if state is None else state
            own = identified(
                SpanContext, (trace_id, getrandbits(64) or ids.generate_span_id(), False, flags, state, True)
            )
        else:
            own = SpanContext(trace_id, ids.generate_span_id(), is_remote=False, trace_flags=flags, trace_state=state)
        counting = self._tracer_metrics
        record_end_metrics = None if type(counting) is NoOpTracerMetrics else counting.start_span(parent, decision)
        if not is_recording:
            return NonRecordingSpan(own)
        span = unmade(RecordingSpan)
        span.make(self, name, own, parent, kind, attributes)
        if not record_exception or not set_status_on_exception or record_end_metrics is not None:
            span.differ(record_exception, set_status_on_exception, record_end_metrics)
        if links:
            span.link(links)
        span.start(start_time, context)
        return span

    return start_span


def deferred(function: Any, made_of: tuple[Any, ...]) -> Any:
    """Return *function*, so that each of its calls runs in a `CurrentSpan` *made_of* that."""
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def asynchronous(*args: Any, **kwargs: Any) -> Any:
            with CurrentSpan(*made_of):
                return await function(*args, **kwargs)

        return asynchronous

    @functools.wraps(function)
    def plain(*args: Any, **kwargs: Any) -> Any:
        with CurrentSpan(*made_of):
            return function(*args, **kwargs)

    return plain


def fail(span: Span, error: BaseException, record_exception: bool, set_status: bool) -> None:
    """Note on *span* that *error* ended its block, as the SDK does."""
    if isinstance(error, Exception) and span.is_recording():
        if record_exception:
            span.record_exception(error)
        if set_status:
            span.set_status(Status(StatusCode.ERROR, f"{type(error).__name__}: {error}"))


@compiled
class CurrentSpan:
    """A new span, current for a block and ended with it; also a decorator, of coroutine functions too."""

    __slots__ = ("_arguments", "_end_on_exit", "_record", "_set_status", "_span", "_token", "_tracer")

    def __init__(
        self,
        tracer: Any,
        end_on_exit: bool,
        record_exception: bool,
        set_status_on_exception: bool,
        arguments: tuple[Any, ...],
    ) -> None:
        """Prepare a span that *tracer* is to start with *arguments*."""
        self._tracer = tracer
        self._end_on_exit = end_on_exit
        self._record = record_exception
        self._set_status = set_status_on_exception
        self._arguments = arguments
        self._span: Any = INVALID_SPAN
        self._token: Token[Context] | None = None

    def __call__(self, function: Any) -> Any:
        """Return *function*, so that each of its calls runs in a span like this one."""
        return deferred(function, (self._tracer, self._end_on_exit, self._record, self._set_status, self._arguments))

    def __enter__(self) -> Span:
        """Start the span, and make it current."""
        # Many wait inside at once; what is not needed any more is not kept.
        arguments, self._arguments = self._arguments, ()
        span: Span = self._tracer.start_span(*arguments, self._record, self._set_status)
        self._span = span
        self._token = enter(with_span(here(), span), depth=2)
        return span

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Put back what was current, note an error, and end the span."""
        span, token = self._span, self._token
        try:
            if token is not None:
                restore(token)
            if error is not None:
                fail(span, error, self._record, self._set_status)
        finally:
            if self._end_on_exit:
                span.end()


@compiled
def making_current(original: Callable[..., Any]) -> Callable[..., Any]:
    """Return what *original* does, in less time."""

    @functools.wraps(original)
    def start_as_current_span(  # noqa: PLR0917 - its signature
        self: Any,
        name: str,
        context: Context | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Attributes = None,
        links: Sequence[Link] | None = (),
        start_time: int | None = None,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
        end_on_exit: bool = True,
    ) -> Any:
        arguments = (name, context, kind, attributes, links, start_time)
        return CurrentSpan(self, end_on_exit, record_exception, set_status_on_exception, arguments)

    return start_as_current_span


_PATCHES: Final = Patches(
    Patch(Tracer, "start_span", starting),
    Patch(Tracer, "start_as_current_span", making_current),
)


def is_known() -> bool:
    """Tell whether this SDK is made as those that the code here was checked with."""
    tracer = TracerProvider(resource=Resource.get_empty(), shutdown_on_exit=False).get_tracer(__name__)
    made = SpanContext(1, 2, is_remote=False, trace_flags=FLAGS[1], trace_state=DEFAULT_TRACE_STATE)
    return (
        tuple(made) == (1, 2, False, 1, DEFAULT_TRACE_STATE, True)
        and hasattr(IdGenerator, "is_trace_id_random")
        and all(hasattr(tracer, name) for name in _PRIVATE)
    )


def install() -> None:
    """Let tracers of the SDK start spans by the faster way, if this SDK is known."""
    if is_known():
        _PATCHES.install()


uninstall = _PATCHES.uninstall
