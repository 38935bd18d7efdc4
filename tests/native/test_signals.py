"""The compiled twins of `otelctx.signals`, each beside the Python source: whatever is done, both show the same."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.context import Context, attach, detach, get_current
from opentelemetry.sdk.trace import Tracer, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, DEFAULT_ON
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    TraceFlags,
    get_current_span,
    set_span_in_context,
)

import otelctx
from otelctx import Field
from otelctx.core.registry import registry
from otelctx.core.state import current_request
from otelctx.native import TWINS
from otelctx.signals import attributes, log_bridge, log_records, spans, tracing, write_through
from otelctx.signals.clean import Clean

pytestmark = pytest.mark.skipif(
    TWINS["otelctx.signals.log_records.stamps"][0] is TWINS["otelctx.signals.log_records.stamps"][1],
    reason="nothing is compiled here",
)


def pair(function: Any) -> tuple[Any, Any]:
    """What is written in Python, and its twin."""
    return next((pure, twin) for pure, twin in TWINS.values() if twin is function)


@contextlib.contextmanager
def fast() -> Iterator[None]:
    tracing.install()
    try:
        yield
    finally:
        tracing.uninstall()


class Text(str):
    __slots__ = ()


plain = st.one_of(st.text(max_size=6), st.integers(), st.floats(allow_nan=False), st.booleans(), st.none())
values = st.one_of(plain, st.builds(Text, st.text(max_size=3)), st.just(object()), st.tuples(plain))
names = st.sampled_from(["user_id", "card", "hidden", "step", "name", "message", "getMessage", "trace_id"])
fields = st.dictionaries(names, values, max_size=6)
identities = st.builds(
    lambda *ids: NonRecordingSpan(SpanContext(*ids)),
    st.integers(0, 2**128),
    st.integers(0, 2**64),
    st.booleans(),
    st.builds(TraceFlags, st.integers(0, 300)),
)


@pytest.fixture(autouse=True)
def _declared() -> None:
    otelctx.declare(Field("card", redact="mask", attribute="app.card"), Field("hidden", log=False, span=False))


def in_both_ways(function: Any, show: Callable[[Any], Any]) -> None:
    pure, twin = pair(function)
    assert show(pure) == show(twin)


@given(fields, fields, st.none() | identities)
def test_stamps(request: dict[str, Any], bound: dict[str, Any], span: Any) -> None:
    def show(stamps: Any) -> list[Any]:
        seen = [stamps()]
        with otelctx.request(request_id="same", **request):
            seen += [stamps(), stamps()]
            token = attach(get_current() if span is None else set_span_in_context(span))
            seen += [stamps(), stamps()]
            otelctx.set(**bound)
            seen.append(stamps())
            detach(token)
            with otelctx.bind(**bound):
                seen.append(stamps())
        return [[*made.items()] for made in seen]

    in_both_ways(log_records.stamps, show)


@given(fields, st.none() | identities, st.booleans())
def test_made_stamps(shown: dict[str, Any], span: Any, shows_undeclared: bool) -> None:
    context = Context() if span is None else set_span_in_context(span, Context())
    view = registry().in_logs if shows_undeclared else dataclasses.replace(registry().in_logs, only=frozenset(["card"]))
    in_both_ways(log_records.made_stamps, lambda make: [*make(dict(shown), view, {}, context).items()])


@given(
    fields, st.none() | st.dictionaries(st.sampled_from(["user_id", "card", "own", "trace_id"]), plain), st.booleans()
)
def test_records(request: dict[str, Any], extra: Any, is_made_by_other: bool) -> None:
    def other(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record = logging.LogRecord(*args, **kwargs)
        record.step = "the factory's"
        return record

    def show(stamping: Any) -> Any:
        make = stamping(logging.Logger.makeRecord)
        args = (logging.getLogger("x"), "x", 20, "x.py", 1, "m", (), None, "f")
        return [*vars(make(*args, extra)).items()][-12:]

    before = logging.getLogRecordFactory()
    logging.setLogRecordFactory(other if is_made_by_other else before)
    try:
        with otelctx.request(request_id="same", **request):
            in_both_ways(log_records.stamping, lambda way: [one for one in show(way) if one[0] not in CLOCK])
    finally:
        logging.setLogRecordFactory(before)


CLOCK = {"created", "msecs", "relativeCreated"}


class OpenTelemetrys(logging.Handler):
    def __init__(self, seen: list[str]) -> None:
        super().__init__()
        self.seen = seen

    def emit(self, record: logging.LogRecord) -> None:
        self.seen.append(type(self).__name__)


class LoggingHandler(OpenTelemetrys):
    __module__ = "opentelemetry.x"


class Writing(OpenTelemetrys):
    pass


@given(st.lists(st.booleans(), max_size=2), st.lists(st.booleans(), max_size=2), st.booleans())
def test_the_bridge(root: list[bool], own: list[bool], propagates: bool) -> None:
    logger = logging.getLogger("tests.bridge")
    logger.parent, logger.propagate = logging.root, propagates
    record = logging.LogRecord("x", 40, "x.py", 1, "m", (), None)

    def show(bridging: Any) -> list[str]:
        seen: list[str] = []
        before, logging.root.handlers = logging.root.handlers, [(LoggingHandler if o else Writing)(seen) for o in root]
        logger.handlers = [(LoggingHandler if o else Writing)(seen) for o in own]
        last, logging.lastResort = logging.lastResort, Writing(seen)  # type: ignore[assignment]
        try:
            bridging(logging.Logger.callHandlers)(logger, record)
        finally:
            logging.root.handlers, logging.lastResort = before, last
        return seen

    in_both_ways(log_bridge.bridging, show)


def provider() -> TracerProvider:
    return TracerProvider(sampler=ALWAYS_ON, shutdown_on_exit=False)


@given(fields, st.booleans(), st.booleans())
def test_named(shown: dict[str, Any], shows_undeclared: bool, is_the_declared: bool) -> None:
    view = registry().in_spans
    if not is_the_declared:
        view = dataclasses.replace(view, only=None if shows_undeclared else frozenset(["card", "user_id"]))
    in_both_ways(attributes.named, lambda named: [*named(shown, view, {}).items()])


given_attributes = st.dictionaries(
    st.sampled_from(["user.id", "app.card", "step", "own"]), plain.filter(bool), max_size=3
)


@given(fields, fields, given_attributes, st.sampled_from([dict, Clean]), st.sampled_from(SpanKind), st.booleans())
def test_fields_on_spans(  # noqa: PLR0917 - each is one part of a span
    request: dict[str, Any], bound: dict[str, Any], own: dict[str, Any], given: Any, kind: SpanKind, is_sdks: bool
) -> None:
    def show(stamp: Any) -> Any:
        with otelctx.request(request_id="same", **request), otelctx.bind(**bound):
            span: Any = provider().get_tracer("t").start_span("s", Context(), kind=kind, attributes=given(own))
            stamp(span, None)
            here = current_request()
            entry = here is not None and here.entry_span is span
            return [*span.attributes.items()], entry

    with contextlib.nullcontext() if is_sdks else fast():
        in_both_ways(spans.stamp_fields, show)


@given(fields, fields, given_attributes, st.booleans())
def test_changes_of_a_request(
    request: dict[str, Any], changes: dict[str, Any], own: dict[str, Any], ends: bool
) -> None:
    def show(write: Any) -> Any:
        tracer = provider().get_tracer("t")
        with otelctx.request(request_id="same", **request):
            here: Any = current_request()
            here.entry_span = entry = tracer.start_span("entry", Context(), attributes=own)
            here.listeners = (write,)
            with tracer.start_as_current_span("inner") as inner:
                if ends:
                    entry.end()
                otelctx.set(**changes)
                otelctx.set(**changes)
            return [
                ([*span.attributes.items()], [(e.name, [*e.attributes.items()]) for e in span.events])
                for span in (entry, inner)
            ]

    with fast():
        in_both_ways(write_through.write_through, show)


@given(
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.sampled_from([ALWAYS_ON, ALWAYS_OFF, DEFAULT_ON]),
    st.none() | st.sampled_from([ValueError("v"), KeyboardInterrupt()]),
)
def test_a_current_span(records: bool, sets: bool, ends: bool, sampler: Any, error: BaseException | None) -> None:
    def show(making: Any) -> Any:
        make, exporter = making(Tracer.start_as_current_span), InMemorySpanExporter()
        made = TracerProvider(sampler=sampler, shutdown_on_exit=False)
        made.add_span_processor(SimpleSpanProcessor(exporter))
        tracer = made.get_tracer("t")
        options = {"record_exception": records, "set_status_on_exception": sets, "end_on_exit": ends}
        before = get_current()
        with contextlib.suppress(ValueError, KeyboardInterrupt), make(tracer, "s", **options) as span:
            assert get_current_span() is span
            if error is not None:
                raise error
        assert get_current() is before
        shown = [
            (one.name, one.status.status_code, [e.name for e in one.events]) for one in exporter.get_finished_spans()
        ]
        return shown, span.is_recording()

    with fast():
        in_both_ways(tracing.making_current, show)
