"""The span that records, beside the SDK's own: whatever is done to both, what is exported is the same."""

from __future__ import annotations

import copy
import json
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from threading import Barrier, Thread
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.attributes import BoundedAttributes
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, DEFAULT_OFF, DEFAULT_ON, ParentBasedTraceIdRatio
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    Tracer,
    TraceState,
    set_span_in_context,
)

from otelctx.signals import tracing
from otelctx.signals.recording import RecordingSpan

# With an SDK that is not known spans are made by it, and what is said of ours does not hold.
with_ours = pytest.mark.skipif(not tracing.is_known(), reason="this OpenTelemetry makes its spans itself")


class CountingIds(IdGenerator):
    """Ids that are the same in every run."""

    def __init__(self, *, random: bool) -> None:
        self.last = 0
        self.random = random

    def generate_span_id(self) -> int:
        self.last += 1
        return self.last

    generate_trace_id = generate_span_id

    def is_trace_id_random(self) -> bool:
        return self.random


@contextmanager
def fast() -> Iterator[None]:
    tracing.install()
    try:
        yield
    finally:
        tracing.uninstall()


def seen(span: ReadableSpan) -> dict[str, Any]:
    """All that an exporter can read of *span*, but for times and the texts of stack traces."""

    def attributes(of: Any) -> list[tuple[str, object]]:
        return [(key, value) for key, value in (of or {}).items() if key != "exception.stacktrace"]

    return {
        "name": span.name,
        "context": span.context,
        "flags": span.context and int(span.context.trace_flags),
        "state": span.context and span.context.trace_state.to_header(),
        "parent": span.parent,
        "kind": span.kind,
        "status": (span.status.status_code, span.status.description),
        "attributes": attributes(span.attributes),
        "events": [(event.name, attributes(event.attributes), event.dropped_attributes) for event in span.events],
        "links": [(link.context, attributes(link.attributes), link.dropped_attributes) for link in span.links],
        "dropped": (span.dropped_attributes, span.dropped_events, span.dropped_links),
        "resource": span.resource,
        "scope": span.instrumentation_scope,
        "ended": span.end_time is not None,
    }


plain = st.one_of(st.text(max_size=6), st.integers(), st.floats(allow_nan=False), st.booleans())
values = st.one_of(
    plain, st.none(), st.binary(max_size=4), st.lists(plain, max_size=3), st.tuples(plain, plain), st.just(object)
)
keys = st.one_of(st.sampled_from(["a", "b", "c", "d", ""]), st.just(7))
attributes = st.dictionaries(keys, values, max_size=5)
contexts = st.builds(
    SpanContext, st.integers(0, 3), st.integers(0, 3), st.booleans(), st.builds(TraceFlags, st.integers(0, 3))
)
statuses = st.one_of(st.sampled_from(StatusCode), st.builds(Status, st.sampled_from(StatusCode)))

steps = st.one_of(
    st.tuples(st.just("set_attribute"), keys, values),
    st.tuples(st.just("set_attributes"), attributes),
    st.tuples(st.just("add_event"), st.text(max_size=3), attributes),
    st.tuples(st.just("add_link"), contexts, attributes),
    st.tuples(st.just("update_name"), st.text(max_size=3)),
    st.tuples(st.just("set_status"), statuses, st.none()),
    st.tuples(st.just("record_exception"), st.builds(ValueError, st.text(max_size=3))),
    st.tuples(st.just("end"), st.none()),
)
limits = st.one_of(
    st.just(None),
    st.fixed_dictionaries(
        {name: st.integers(0, 3) for name in ("max_span_attributes", "max_events", "max_links", "max_event_attributes")}
    ),
    st.fixed_dictionaries({"max_attribute_length": st.integers(0, 3)}),
)


def done(work: list[tuple[Any, ...]], started: dict[str, Any], narrow: dict[str, int] | None) -> list[dict[str, Any]]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(
        sampler=ALWAYS_ON, span_limits=SpanLimits(**(narrow or {})), id_generator=CountingIds(random=True)
    )
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    span = provider.get_tracer("t").start_span("s", context=Context(), **started)
    during = []
    for name, *arguments in work:
        getattr(span, name)(*arguments)
        during.append(seen(span))
    span.end()
    provider.shutdown()
    return [*during, *(seen(finished) for finished in exporter.get_finished_spans())]


@given(st.lists(steps, max_size=8), attributes, st.lists(contexts, max_size=3), limits)
def test_what_is_exported_is_the_same_whatever_is_done_to_a_span(
    work: list[tuple[Any, ...]], given: dict[Any, Any], linked: list[SpanContext], narrow: dict[str, int] | None
) -> None:
    logging.getLogger("opentelemetry").disabled = True

    def started() -> dict[str, Any]:
        return {"attributes": given, "links": [Link(context, {"l": 1}) for context in linked], "kind": SpanKind.CLIENT}

    expected = done(work, started(), narrow)
    with fast():
        assert expected == done(work, started(), narrow)


parents = st.one_of(
    st.none(),
    st.builds(
        SpanContext,
        st.integers(0, 2**128 - 1),
        st.integers(0, 2**64 - 1),
        st.booleans(),
        st.builds(TraceFlags, st.integers(0, 3)),
        st.just(TraceState([("vendor", "x")])),
    ),
)
samplers = st.sampled_from([ALWAYS_ON, ALWAYS_OFF, DEFAULT_ON, DEFAULT_OFF, ParentBasedTraceIdRatio(0.5)])


@given(parents, samplers, st.booleans(), st.dictionaries(st.sampled_from("ab"), plain))
def test_who_a_span_is_and_whether_it_records_is_the_same(
    parent: SpanContext | None, sampler: Any, random: bool, given: dict[str, Any]
) -> None:
    def made() -> tuple[Any, ...]:
        provider = TracerProvider(sampler=sampler, id_generator=CountingIds(random=random), shutdown_on_exit=False)
        context = Context() if parent is None else set_span_in_context(NonRecordingSpan(parent), Context())
        span = provider.get_tracer("t").start_span("s", context, attributes=given)
        own = span.get_span_context()
        shown = seen(span) if isinstance(span, ReadableSpan) else None
        return tuple(own), int(own.trace_flags), own.is_valid, own.trace_state.to_header(), span.is_recording(), shown

    expected = made()
    with fast():
        assert expected == made()


def tracer(*processors: SpanProcessor) -> Tracer:
    provider = TracerProvider(shutdown_on_exit=False)
    for processor in processors:
        provider.add_span_processor(processor)
    return provider.get_tracer("t")


@pytest.fixture
def installed() -> Iterator[None]:
    with fast():
        yield


@pytest.mark.usefixtures("installed")
class TestRecordingSpan:
    """What the comparison above cannot show."""

    @with_ours
    def test_it_is_a_span_of_the_sdk(self) -> None:
        span = tracer().start_span("s")

        assert isinstance(span, RecordingSpan)
        assert isinstance(span, Span)
        assert isinstance(span, ReadableSpan)

    def test_what_is_written_while_it_ends_never_changes_what_was_exported(self) -> None:
        exported: list[tuple[ReadableSpan, dict[str, Any]]] = []

        class Keeping(SpanProcessor):
            def on_end(self, span: ReadableSpan) -> None:
                exported.append((span, dict(span.attributes or {})))

        starting = tracer(Keeping())
        for _ in range(200):
            span = starting.start_span("s")
            together = Barrier(2)

            def write(span: Any = span, together: Barrier = together) -> None:
                together.wait()
                for number in range(20):
                    span.set_attribute(f"k{number}", number)

            logging.getLogger("opentelemetry").disabled = True
            writer = Thread(target=write)
            writer.start()
            together.wait()
            span.end()
            writer.join()

        assert 200 == len(exported)
        assert [] == [span for span, then in exported if dict(span.attributes or {}) != then]

    def test_it_ends_once_whoever_ends_it(self) -> None:
        ends: list[ReadableSpan] = []

        class Counting(SpanProcessor):
            def on_end(self, span: ReadableSpan) -> None:
                ends.append(span)

        span = tracer(Counting()).start_span("s")
        together = Barrier(8)

        def end() -> None:
            together.wait()
            span.end()

        threads = [Thread(target=end) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert 1 == len(ends)

    @pytest.mark.parametrize("after", ["after", ["after"]], ids=["plain", "to be cleaned"])
    def test_an_attribute_that_is_overwritten_while_it_ends_is_exported(self, after: Any) -> None:
        span: Any = tracer().start_span("s", attributes={"user.id": "before"})
        ending = Thread(target=span.end)

        def between_two_lines(frame: Any, _: str, __: Any) -> Any:
            # In the middle of the SDK's own way to overwrite, which takes the old value out first.
            if "user.id" not in getattr(frame.f_locals.get("self"), "_dict", {"user.id"}) and not ending.ident:
                ending.start()
            return between_two_lines

        before = sys.gettrace()
        sys.settrace(lambda frame, *_: between_two_lines if frame.f_code.co_name == "_setitem_locked" else None)
        try:
            span.set_attribute("user.id", after)
        finally:
            sys.settrace(before)
        if ending.ident:
            ending.join()
        else:
            span.end()
        assert span.attributes["user.id"] in ("after", ("after",))

    @with_ours
    @pytest.mark.parametrize("look", range(1, 7))
    def test_an_attribute_that_is_taken_out_between_two_looks_at_it_fails_no_rewrite(self, look: int) -> None:
        span: Any = tracer().start_span("s", attributes={"user.id": "before"})
        looks = 0

        class Name(str):
            __slots__ = ()

            def __hash__(self) -> int:
                nonlocal looks
                looks += 1
                if looks == look + 1:  # the first is of the mapping below
                    span._values.pop("user.id", None)
                return super().__hash__()

        span.rewrite({Name("user.id"): "after"}, {"user.id": "before"})
        assert span.attributes["user.id"] == "after"

    @with_ours
    def test_a_deep_copy_of_it_is_what_it_has_to_say(self) -> None:
        span: Any = tracer().start_span("s", attributes={"a": 1}, kind=SpanKind.CLIENT)
        span.add_event("e", {"b": 2})
        span.end()

        made = copy.deepcopy(span)

        assert json.loads(made.to_json()) == json.loads(span.to_json())
        assert type(made) is ReadableSpan

    def test_a_processor_that_replaces_the_attributes_is_heard(self) -> None:
        exporter = InMemorySpanExporter()

        class Redacting(SpanProcessor):
            def on_end(self, span: ReadableSpan) -> None:
                span._attributes = BoundedAttributes(attributes={**(span.attributes or {}), "card": "***"})

        span = tracer(Redacting(), SimpleSpanProcessor(exporter)).start_span("s", attributes={"card": "4711", "a": 1})
        span.end()

        assert [{"card": "***", "a": 1}] == [dict(done.attributes or {}) for done in exporter.get_finished_spans()]

    def test_an_unknown_attribute_of_it_is_an_attribute_error(self) -> None:
        with pytest.raises(AttributeError, match="nothing_of_the_kind"):
            _ = tracer().start_span("s").nothing_of_the_kind  # type: ignore[attr-defined]


class TestStamp:
    """`RecordingSpan.stamp`."""

    @with_ours
    @pytest.mark.parametrize("narrow", [{}, {"max_span_attributes": 2}, {"max_attribute_length": 1}])
    def test_it_writes_what_is_not_there_within_the_limits(self, narrow: dict[str, int]) -> None:
        provider = TracerProvider(span_limits=SpanLimits(**narrow), shutdown_on_exit=False)
        with fast():
            span = provider.get_tracer("t").start_span("s", attributes={"a": "given"})
            assert isinstance(span, RecordingSpan)
            logging.getLogger("opentelemetry").disabled = True
            span.stamp({"a": "stamped", "b": "bbb", "c": "ccc"})
        expected = {
            "": {"a": "given", "b": "bbb", "c": "ccc"},
            "max_span_attributes": {"b": "bbb", "c": "ccc"},
            "max_attribute_length": {"a": "g", "b": "b", "c": "c"},
        }

        assert expected[next(iter(narrow), "")] == dict(span.attributes or {})


class TestStartAsCurrentSpan:
    """`Tracer.start_as_current_span`, with every way to use it."""

    @pytest.mark.parametrize("is_fast", [False, True])
    async def test_it_is_a_block_and_a_decorator_of_functions_and_coroutines(self, is_fast: bool) -> None:
        exporter = InMemorySpanExporter()
        starting = tracer(SimpleSpanProcessor(exporter))

        def named(span: Any) -> str:
            return str(span.name)

        async def shown(run: Callable[[], Any]) -> None:
            result = run()
            assert "done" == (await result if hasattr(result, "__await__") else result)

        def work() -> None:
            @starting.start_as_current_span("function")
            def function() -> str:
                return "done"

            @starting.start_as_current_span("coroutine")
            async def coroutine() -> str:
                return "done"

            functions.extend([function, function, coroutine, coroutine])

        functions: list[Callable[[], Any]] = []
        if is_fast:
            tracing.install()
        try:
            work()
            for function in functions:
                await shown(function)
            with starting.start_as_current_span("block", end_on_exit=False) as span:
                pass
            assert span.is_recording()
            with pytest.raises(ZeroDivisionError), starting.start_as_current_span("raising"):
                1 / 0  # noqa: B018 - that is the point
            with starting.start_as_current_span(
                "silent", record_exception=False, set_status_on_exception=False
            ) as span:
                assert "silent" == named(span)
        finally:
            tracing.uninstall()

        assert ["function", "function", "coroutine", "coroutine", "raising", "silent"] == [
            done.name for done in exporter.get_finished_spans()
        ]
        raised = exporter.get_finished_spans()[4]
        assert (StatusCode.ERROR, "ZeroDivisionError: division by zero") == (
            raised.status.status_code,
            raised.status.description,
        )
        assert ["exception"] == [event.name for event in raised.events]


@pytest.mark.usefixtures("installed")
class TestHostileParts:
    """What others put into a span, its limits and its parent, past what constructors allow."""

    @with_ours
    def test_an_attribute_is_set_where_others_have_put_too_many(self) -> None:
        provider = TracerProvider(shutdown_on_exit=False, span_limits=SpanLimits(max_span_attributes=1))
        span: Any = provider.get_tracer("t").start_span("s")
        span._attributes = dict.fromkeys("abc", 1)

        span.set_attribute("d", 1)

        assert dict(span.attributes) == {"b": 1, "c": 1, "d": 1}
        assert span.dropped_attributes == 1

    @with_ours
    def test_a_limit_may_be_any_number(self) -> None:
        limits = SpanLimits(max_span_attributes=2**70, max_events=2**70, max_event_attributes=2**70)
        span: Any = TracerProvider(shutdown_on_exit=False, span_limits=limits).get_tracer("t").start_span("s")

        span.set_attribute("a", 1)
        span.add_event("e", {"b": 2})

        assert dict(span.attributes) == {"a": 1}
        assert [dict(event.attributes) for event in span.events] == [{"b": 2}]

    @with_ours
    def test_a_parent_of_too_few_parts_is_refused(self) -> None:
        short: Any = tuple.__new__(SpanContext, (1, 2, False))
        context = set_span_in_context(NonRecordingSpan(short))

        with pytest.raises(ValueError, match="unpack"):
            tracer().start_span("s", context)

    def test_flags_of_a_parent_may_be_any_number(self) -> None:
        outer = SpanContext(1, 2, is_remote=True, trace_flags=TraceFlags(2**70 + 1))

        assert tracer().start_span("s", set_span_in_context(NonRecordingSpan(outer))).is_recording()

    def test_who_a_span_is_has_no_hash_as_any_other_identity(self) -> None:
        with pytest.raises(TypeError, match="unhashable"):
            hash(tracer().start_span("s").get_span_context())


class TestInstall:
    """`tracing.install` and `tracing.uninstall`."""

    @with_ours
    def test_uninstalling_restores_the_very_same_functions(self) -> None:
        from opentelemetry.sdk.trace import Tracer as SdkTracer

        before = SdkTracer.start_span, SdkTracer.start_as_current_span
        with fast():
            assert before[0] is not SdkTracer.start_span

        assert before == (SdkTracer.start_span, SdkTracer.start_as_current_span)

    def test_a_tracer_of_another_class_starts_spans_as_it_does(self) -> None:
        from opentelemetry.sdk.trace import Tracer as SdkTracer

        class Own(SdkTracer):
            pass

        made = tracer()
        made.__class__ = Own
        with fast():
            assert type(made.start_span("s")) is not RecordingSpan

    def test_this_sdk_is_known(self) -> None:
        release = tuple(map(int, version("opentelemetry-sdk").split(".")[:2]))
        assert tracing.is_known() is (release >= (1, 42))
