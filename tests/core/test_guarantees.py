"""
The ten guarantees of docs/architecture.md, each in a class of its own with the guarantee as its docstring.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from opentelemetry import baggage
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context, attach, detach, get_current
from opentelemetry.propagate import get_global_textmap, set_global_textmap
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.propagators.textmap import TextMapPropagator
from opentelemetry.trace import Tracer, get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

import otelctx
from otelctx.core.reports import counts
from otelctx.propagation.peers import with_peer
from otelctx.propagation.propagator import OtelctxPropagator

pytestmark = pytest.mark.usefixtures("tasks")


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    """One worker, so that each job gets the thread of the one before."""
    with ThreadPoolExecutor(1) as executor:
        yield executor


@pytest.fixture
def configured() -> Iterator[Callable[[TextMapPropagator], None]]:
    """Configure a propagator for the test."""
    before = get_global_textmap()
    yield set_global_textmap
    set_global_textmap(before)


def in_thread(function: Callable[[], Any]) -> Any:
    """Run *function* in a new thread, in a copy of the context of here, and return its result."""
    results: list[Any] = []
    context = contextvars.copy_context()
    thread = threading.Thread(target=lambda: results.append(context.run(function)))
    thread.start()
    thread.join()
    return results[0]


class TestReadYourWrites:
    """1. After `set` or inside `bind`, `get` returns the new value in that place, always."""

    def test_after_set(self) -> None:
        with otelctx.request():
            otelctx.set(tenant="acme")
            assert otelctx.get("tenant") == "acme"

    async def test_after_set_in_a_task(self) -> None:
        async def work() -> object:
            otelctx.set(tenant="acme")
            await asyncio.sleep(0)
            return otelctx.get("tenant")

        with otelctx.request():
            assert await asyncio.create_task(work()) == "acme"

    def test_inside_bind(self) -> None:
        with otelctx.request(tenant="outer"), otelctx.bind(tenant="inner"):
            assert otelctx.get("tenant") == "inner"

    def test_after_set_inside_a_binding_of_the_same_name(self) -> None:
        with otelctx.request(), otelctx.bind(tenant="a"), otelctx.bind(tenant="b"):
            otelctx.set(tenant="c")
            assert otelctx.get("tenant") == "c"

    def test_after_set_over_baggage_that_other_code_attached(self) -> None:
        with otelctx.request():
            attach(baggage.set_baggage("user_id", "theirs"))
            otelctx.set(user_id="ours")
            assert otelctx.get("user_id") == baggage.get_baggage("user_id") == "ours"

    def test_after_set_where_other_code_cleared_the_baggage(self) -> None:
        with otelctx.request(user_id="before"):
            attach(baggage.clear())
            otelctx.set(user_id="after")
            assert otelctx.get("user_id") == baggage.get_baggage("user_id") == "after"

    def test_after_set_under_more_bindings_than_a_chain_is_deep(self) -> None:
        with otelctx.request():
            for number in range(200):
                otelctx.bind(tenant=number).__enter__()
            otelctx.set(tenant="set")
            assert otelctx.get("tenant") == "set"

    def test_after_none_was_set(self) -> None:
        with otelctx.request(tenant="acme"), otelctx.bind(tenant="inner"):
            otelctx.set(tenant=None)
            assert otelctx.get("tenant") is None
            assert "tenant" not in otelctx.current()

    def test_the_rest_of_the_block_sees_what_is_set_in_it(self) -> None:
        with otelctx.request(), otelctx.bind(tenant="outer"):
            with otelctx.bind(tenant="inner"):
                otelctx.set(tenant="set")
            assert otelctx.get("tenant") == "set"


class TestSetIsSeenEverywhere:
    """2. `set` made anywhere in the request is seen by code that runs later anywhere else in it, also above it."""

    def test_from_a_function_below(self) -> None:
        def below() -> None:
            otelctx.set(user_id="u")

        with otelctx.request():
            below()
            assert otelctx.get("user_id") == "u"

    async def test_from_a_child_task(self) -> None:
        async def child() -> None:
            otelctx.set(user_id="u")

        with otelctx.request():
            await asyncio.create_task(child())
            assert otelctx.get("user_id") == "u"

    async def test_in_a_task_that_was_started_before(self) -> None:
        written = asyncio.Event()

        async def started_before() -> object:
            await written.wait()
            return otelctx.get("user_id")

        with otelctx.request():
            task = asyncio.create_task(started_before())
            await asyncio.sleep(0)
            otelctx.set(user_id="u")
            written.set()
            assert await task == "u"

    async def test_in_a_sibling(self) -> None:
        written = asyncio.Event()

        async def writer() -> None:
            otelctx.set(user_id="u")
            written.set()

        async def reader() -> object:
            await written.wait()
            return otelctx.get("user_id")

        with otelctx.request():
            assert (await asyncio.gather(reader(), writer()))[0] == "u"

    async def test_from_a_thread_pool(self) -> None:
        with otelctx.request():
            await asyncio.to_thread(otelctx.set, user_id="u")
            assert otelctx.get("user_id") == "u"

    async def test_from_a_callback(self) -> None:
        called = asyncio.Event()

        def callback() -> None:
            otelctx.set(user_id="u")
            called.set()

        with otelctx.request():
            asyncio.get_running_loop().call_soon(callback)
            await called.wait()
            assert otelctx.get("user_id") == "u"

    def test_from_a_nested_span(self, tracer: Tracer) -> None:
        with otelctx.request(), tracer.start_as_current_span("a"):
            with tracer.start_as_current_span("b"):
                otelctx.set(user_id="u")
            assert otelctx.get("user_id") == "u"

    async def test_in_background_work_that_outlives_the_block(self) -> None:
        over = asyncio.Event()

        async def background() -> object:
            await over.wait()
            return otelctx.get("user_id")

        with otelctx.request():
            task = asyncio.create_task(background())
            otelctx.set(user_id="u")
        over.set()
        assert await task == "u"

    def test_from_inside_a_binding_of_another_name(self) -> None:
        with otelctx.request():
            with otelctx.bind(step="charge"):
                otelctx.set(user_id="u")
            assert otelctx.get("user_id") == "u"

    def test_in_a_context_captured_before(self) -> None:
        with otelctx.request():
            captured = get_current()
            otelctx.set(user_id="u")
        assert baggage.get_baggage("user_id", captured) == "u"


class TestValuesOutliveSpans:
    """3. A value survives the end of any span."""

    def test_set_inside_a_span(self, tracer: Tracer) -> None:
        with otelctx.request():
            with tracer.start_as_current_span("a"):
                otelctx.set(user_id="u")
            assert otelctx.get("user_id") == "u"
            assert baggage.get_baggage("user_id") == "u"

    def test_set_inside_a_span_that_fails(self, tracer: Tracer) -> None:
        with otelctx.request():
            with pytest.raises(ZeroDivisionError), tracer.start_as_current_span("a"):  # noqa: PT012
                otelctx.set(user_id="u")
                raise ZeroDivisionError
            assert otelctx.get("user_id") == "u"

    def test_set_inside_a_span_outside_a_request(self, tracer: Tracer) -> None:
        with tracer.start_as_current_span("a"):
            otelctx.set(user_id="u")
        assert otelctx.get("user_id") == "u"

    def test_set_over_a_binding_inside_a_span_outside_a_request(self, tracer: Tracer) -> None:
        with otelctx.bind(step="bound"):
            with tracer.start_as_current_span("a"):
                otelctx.set(step="set")
            assert otelctx.get("step") == "set"

    async def test_set_in_a_task_inside_a_span(self, tracer: Tracer) -> None:
        async def child() -> None:
            with tracer.start_as_current_span("b"):
                otelctx.set(user_id="u")

        with otelctx.request():
            with tracer.start_as_current_span("a"):
                await asyncio.create_task(child())
            assert otelctx.get("user_id") == "u"


class TestBindRestores:
    """4. `bind` restores on leaving, by exception too; absence too; concurrent blocks never see each other."""

    def test_the_outer_value(self) -> None:
        with otelctx.request(step="outer"):
            with otelctx.bind(step="inner"):
                pass
            assert otelctx.get("step") == "outer"

    def test_the_outer_value_after_an_exception(self) -> None:
        with otelctx.request(step="outer"):
            with pytest.raises(ZeroDivisionError), otelctx.bind(step="inner"):
                raise ZeroDivisionError
            assert otelctx.get("step") == "outer"

    def test_absence(self) -> None:
        with otelctx.request():
            with otelctx.bind(step="inner"):
                pass
            assert otelctx.get("step", "absent") == "absent"
            assert "step" not in otelctx.current()

    def test_outside_a_request(self) -> None:
        with otelctx.bind(step="inner"):
            assert otelctx.get("step") == "inner"
        assert otelctx.get("step") is None
        assert get_current() == Context()

    async def test_after_cancellation(self) -> None:
        entered = asyncio.Event()
        after: list[object] = []

        async def work() -> None:
            try:
                async with otelctx.bind(step="inner"):
                    entered.set()
                    await asyncio.Event().wait()
            finally:
                after.append(otelctx.get("step"))

        with otelctx.request(step="outer"):
            task = asyncio.create_task(work())
            await entered.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert after == ["outer"]

    async def test_concurrent_blocks_never_see_each_other(self) -> None:
        both = [asyncio.Event(), asyncio.Event()]

        async def block(number: int) -> object:
            with otelctx.bind(step=number):
                both[number].set()
                await both[1 - number].wait()
                return otelctx.get("step")

        with otelctx.request(step="outer"):
            assert list(await asyncio.gather(block(0), block(1))) == [0, 1]
            assert otelctx.get("step") == "outer"

    def test_concurrent_blocks_of_threads_never_see_each_other(self) -> None:
        barrier = threading.Barrier(4)

        def block(number: int) -> bool:
            with otelctx.bind(step=number):
                barrier.wait()
                seen = otelctx.get("step")
                barrier.wait()
            return seen == number and otelctx.get("step") == "outer"

        with otelctx.request(step="outer"), ThreadPoolExecutor(4) as pool:
            jobs = [pool.submit(contextvars.copy_context().run, block, number) for number in range(4)]
            assert all(job.result() for job in jobs)

    async def test_a_task_that_sets_outside_a_request_leaves_the_binding_of_others_alone(self) -> None:
        async def child() -> object:
            otelctx.set(step="child")
            return otelctx.get("step")

        with otelctx.bind(step="bound"):
            assert await asyncio.create_task(child()) == "child"
            assert otelctx.get("step") == "bound"


class TestRequestsAreApart:
    """5. Two requests never see each other's values, whatever threads, pools, callbacks or forks they share."""

    async def test_in_concurrent_tasks(self) -> None:
        both = [asyncio.Event(), asyncio.Event()]

        async def serve(number: int) -> object:
            with otelctx.request():
                otelctx.set(user_id=f"user-{number}")
                both[number].set()
                await both[1 - number].wait()
                return otelctx.get("user_id")

        assert list(await asyncio.gather(serve(0), serve(1))) == ["user-0", "user-1"]

    def test_in_one_worker_thread(self, pool: ThreadPoolExecutor) -> None:
        def serve(user: str | None) -> object:
            with otelctx.request():
                if user is not None:
                    otelctx.set(user_id=user)
                return otelctx.get("user_id")

        assert pool.submit(serve, "alice").result() == "alice"
        assert pool.submit(serve, None).result() is None

    def test_one_after_the_other_in_one_thread(self) -> None:
        with otelctx.request(user_id="alice"):
            first = otelctx.get("request_id")
        with otelctx.request():
            assert otelctx.get("user_id") is None
            assert otelctx.get("request_id") != first

    def test_a_nested_request_writes_to_its_own_cell(self) -> None:
        with otelctx.request(user_id="outer"), otelctx.bind(step="bound"):
            with otelctx.request():
                assert otelctx.get("user_id") == "outer"
                otelctx.set(user_id="inner", step="set")
            assert otelctx.get("user_id") == "outer"
            assert otelctx.get("step") == "bound"

    def test_extracting_within_a_request_opens_another_one(self) -> None:
        with otelctx.request(user_id="outer", tenant="local"):
            token = attach(otelctx.extract({"baggage": "user_id=inner"}))
            assert otelctx.get("tenant") is None
            otelctx.set(tenant="inner")
            detach(token)
            assert otelctx.get("user_id") == "outer"
            assert otelctx.get("tenant") == "local"

    async def test_tasks_that_set_outside_any_request_are_apart_too(self) -> None:
        both = [asyncio.Event(), asyncio.Event()]

        async def handle(number: int) -> object:
            otelctx.set(user_id=f"user-{number}")
            both[number].set()
            await both[1 - number].wait()
            return otelctx.get("user_id")

        otelctx.set(user_id="start-up")
        assert list(await asyncio.gather(handle(0), handle(1))) == ["user-0", "user-1"]
        assert otelctx.get("user_id") == "start-up"


class TestOneSourceOfTruth:
    """6. OTel's baggage shows the remote fields; what other code puts there is read, carried and limited like ours."""

    def test_get_all_shows_remote_fields_that_were_set_bound_and_received(self) -> None:
        otelctx.declare(otelctx.Field("tenant", remote=True), otelctx.Field("plan", remote=True, key="app.plan"))
        with otelctx.request(peer="unix", carrier={"baggage": "tenant=acme"}, request_id="r1"):
            otelctx.set(user_id="u")
            with otelctx.bind(plan="gold"):
                assert dict(baggage.get_all()) == {
                    "tenant": "acme",
                    "request_id": "r1",
                    "user_id": "u",
                    "app.plan": "gold",
                }

    def test_baggage_of_other_code_is_read_with_get(self) -> None:
        with otelctx.request():
            token = attach(baggage.set_baggage("user_id", "theirs", baggage.set_baggage("colour", "red")))
            assert otelctx.get("user_id") == "theirs"
            assert otelctx.get("colour") == "red"
            assert otelctx.current()["colour"] == "red"
            detach(token)
            assert otelctx.get("user_id") is None
            assert otelctx.get("colour") is None

    @pytest.mark.parametrize("others", range(62, 68))
    def test_baggage_of_other_code_is_read_however_much_of_it_there_is(self, others: int) -> None:
        with otelctx.request(user_id="outer"):
            for number in range(others):
                attach(baggage.set_baggage(f"k{number}", "v"))
            attach(baggage.set_baggage("user_id", "theirs"))
            assert otelctx.get("user_id") == otelctx.current()["user_id"] == "theirs"
            attach(baggage.remove_baggage("user_id"))
            assert otelctx.get("user_id") is None

    def test_baggage_of_other_code_is_converted_like_ours(self) -> None:
        otelctx.declare(otelctx.Field("attempt", type=int, remote=True))
        with otelctx.request():
            attach(baggage.set_baggage("attempt", "3"))
            assert otelctx.get("attempt") == 3

    def test_baggage_of_other_code_is_limited_like_ours(self) -> None:
        with otelctx.request():
            attach(baggage.set_baggage("user_id", "x" * 257))
            assert otelctx.get("user_id") is None
            assert counts() == {"field.refused": 1}

    def test_baggage_of_other_code_is_carried(self) -> None:
        headers: dict[str, str] = {}
        with otelctx.request(request_id="r1"):
            attach(baggage.set_baggage("colour", "light blue"))
            otelctx.inject(headers)
        assert headers["baggage"].split(",") == ["request_id=r1", "colour=light%20blue"]

    def test_what_other_code_removes_is_gone_for_both(self) -> None:
        with otelctx.request(user_id="u"):
            token = attach(baggage.remove_baggage("user_id"))
            assert otelctx.get("user_id") is None
            assert "user_id" not in baggage.get_all()
            detach(token)
            assert otelctx.get("user_id") == "u"

    def test_removing_what_is_not_there_is_no_error(self) -> None:
        with otelctx.request(user_id="u"):
            assert baggage.get_all(baggage.remove_baggage("nothing")) == baggage.get_all()

    def test_what_other_code_clears_is_gone_for_both_and_local_fields_stay(self) -> None:
        with otelctx.request(user_id="u", step="local"):
            token = attach(baggage.clear())
            assert otelctx.get("user_id") is None
            assert otelctx.get("step") == "local"
            detach(token)
            assert otelctx.get("user_id") == "u"

    def test_what_other_code_sets_after_clearing_is_read_and_shown(self) -> None:
        with otelctx.request(user_id="u"):
            attach(baggage.set_baggage("colour", "red", baggage.clear()))
            assert otelctx.get("colour") == "red"
            assert dict(baggage.get_all()) == {"colour": "red"}
            with otelctx.bind(step="x"):
                assert dict(baggage.get_all()) == {"colour": "red"}

    def test_none_of_other_code_is_no_text(self) -> None:
        with otelctx.request(user_id="u"):
            attach(baggage.set_baggage("user_id", None, baggage.set_baggage("colour", None)))
            assert otelctx.get("user_id") is None
            assert otelctx.get("colour") is None
            assert "user_id" not in baggage.get_all()

    def test_members_that_nobody_declares_pass_through(self) -> None:
        headers: dict[str, str] = {}
        with otelctx.request(peer="unix", carrier={"baggage": "request_id=r1,colour=red;p=1"}):
            assert otelctx.get("colour") == "red"
            otelctx.inject(headers)
        assert "colour=red" in headers["baggage"].split(",")[1]

    def test_outside_a_request_too(self) -> None:
        attach(baggage.set_baggage("colour", "red"))
        assert otelctx.get("colour") == "red"
        otelctx.set(user_id="u")
        assert baggage.get_baggage("user_id") == "u"
        assert baggage.get_baggage("colour") == "red"

    def test_the_stock_propagator_sends_what_is_set(self) -> None:
        headers: dict[str, str] = {}
        with otelctx.request(request_id="r1"):
            otelctx.set(user_id="u", tenant="local")
            W3CBaggagePropagator().inject(headers)
        assert headers == {"baggage": "request_id=r1,user_id=u"}

    def test_what_the_stock_propagator_extracts_is_read(self) -> None:
        attach(W3CBaggagePropagator().extract({"baggage": "user_id=u,colour=red"}))
        assert otelctx.get("user_id") == "u"
        assert otelctx.get("colour") == "red"

    @pytest.mark.parametrize("ours_first", [True, False])
    def test_beside_the_stock_propagator_nothing_doubles(self, ours_first: bool) -> None:
        both: list[TextMapPropagator] = [OtelctxPropagator(), W3CBaggagePropagator()]
        propagator = CompositePropagator(both if ours_first else both[::-1])
        headers: dict[str, str] = {}
        context = with_peer(Context(), "unix")
        token = attach(propagator.extract({"baggage": "user_id=u,request_id=r1,colour=red"}, context))
        otelctx.set(user_id="changed")
        assert otelctx.get("user_id") == "changed"
        propagator.inject(headers)
        detach(token)
        assert sorted(headers["baggage"].split(",")) == ["colour=red", "request_id=r1", "user_id=changed"]


STOCK = {
    "baggage": W3CBaggagePropagator(),
    "tracecontext": TraceContextTextMapPropagator(),
    "otelctx": OtelctxPropagator(),
    "otelctx,baggage": CompositePropagator([OtelctxPropagator(), W3CBaggagePropagator()]),
    "baggage,otelctx": CompositePropagator([W3CBaggagePropagator(), OtelctxPropagator()]),
    "tracecontext,baggage": CompositePropagator([TraceContextTextMapPropagator(), W3CBaggagePropagator()]),
    "none": CompositePropagator([]),
}


class TestLocalFieldsStay:
    """7. Local fields never leave the process, whichever propagator is configured."""

    @pytest.mark.parametrize("name", STOCK)
    def test_with_each_propagator(self, name: str, configured: Callable[[TextMapPropagator], None]) -> None:
        otelctx.declare(otelctx.Field("email"), otelctx.Field("undeclared_elsewhere"))
        configured(STOCK[name])
        sent: list[dict[str, str]] = [{}, {}, {}]
        with otelctx.request(email="SECRET"), otelctx.bind(step="SECRET"):
            otelctx.set(other="SECRET")
            otelctx.inject(sent[0])
            get_global_textmap().inject(sent[1])
            STOCK[name].inject(sent[2], get_current())
            assert "SECRET" not in repr(dict(baggage.get_all()))
        assert "SECRET" not in repr(sent)

    def test_outside_a_request(self) -> None:
        headers: dict[str, str] = {}
        otelctx.set(step="SECRET")
        otelctx.inject(headers)
        W3CBaggagePropagator().inject(headers)
        assert "SECRET" not in repr(headers)

    def test_through_the_baggage_api(self) -> None:
        otelctx.declare(otelctx.Field("email"))
        headers: dict[str, str] = {}
        with otelctx.request():
            attach(baggage.set_baggage("email", "SECRET"))
            assert otelctx.get("email") == "SECRET"
            otelctx.inject(headers)
            W3CBaggagePropagator().inject(headers)
        assert "SECRET" not in repr(headers)

    def test_nobody_outside_gives_a_local_field_its_value(self) -> None:
        otelctx.declare(otelctx.Field("is_admin"))
        with otelctx.request(peer="unix", carrier={"baggage": "is_admin=true"}):
            assert otelctx.get("is_admin") is None
            assert "is_admin" not in otelctx.current()


class TestExplicitContexts:
    """8. A context passed explicitly is honoured."""

    def test_inject_sends_the_context_given(self) -> None:
        headers: dict[str, str] = {}
        with otelctx.request(request_id="r1", user_id="given"):
            given = get_current()
        with otelctx.request(request_id="r2", user_id="current"):
            otelctx.inject(headers, context=given)
        assert headers == {"baggage": "request_id=r1,user_id=given", "x-request-id": "r1"}

    def test_inject_of_an_empty_context_sends_nothing(self) -> None:
        headers: dict[str, str] = {}
        with otelctx.request(user_id="current"):
            otelctx.inject(headers, context=Context())
        otelctx.set(user_id="ambient")
        otelctx.inject(headers, context=Context())
        assert headers == {}

    def test_a_binding_that_ended_still_counts_in_its_context(self) -> None:
        headers: dict[str, str] = {}
        with otelctx.request(request_id="r1", user_id="outer"):
            with otelctx.bind(user_id="bound"):
                given = get_current()
            otelctx.inject(headers, given)
        assert "user_id=bound" in headers["baggage"]

    def test_extract_adds_to_the_context_given_and_attaches_nothing(self) -> None:
        context = otelctx.extract({"baggage": "user_id=u"}, Context({"key": "kept"}), peer="unix")
        assert context["key"] == "kept"
        assert baggage.get_baggage("user_id", context) == "u"
        assert otelctx.get("user_id") is None

    def test_a_span_started_in_a_context_sees_that_context(self, tracer: Tracer) -> None:
        with otelctx.request(user_id="given"):
            given = get_current()
        span = tracer.start_span("a", context=given)
        span.end()
        assert not get_current_span().get_span_context().is_valid
        assert otelctx.get("user_id") is None

    def test_a_context_attached_elsewhere_brings_its_request(self) -> None:
        with otelctx.request(user_id="given"):
            given = get_current()

        def elsewhere() -> object:
            attach(given)
            return otelctx.get("user_id")

        assert in_thread(elsewhere) == "given"


class TestOutsideARequest:
    """9. Nothing is silently dropped: `set` then acts like `enter_with` for the current task and says so once."""

    def test_what_is_set_is_read(self) -> None:
        otelctx.set(tenant="acme", user_id="u")
        assert otelctx.get("tenant") == "acme"
        assert otelctx.current()["user_id"] == "u"

    def test_what_is_set_is_sent(self) -> None:
        headers: dict[str, str] = {}
        otelctx.set(user_id="u")
        otelctx.inject(headers)
        assert "user_id=u" in headers["baggage"]

    def test_it_says_so_once(self, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.WARNING, logger="otelctx"):
            otelctx.set(user_id="a")
            otelctx.set(user_id="b")
            in_thread(lambda: otelctx.set(user_id="c"))
        assert [record.name for record in caplog.records] == ["otelctx"]
        assert "outside a request" in caplog.text

    def test_inside_a_request_it_says_nothing(self, caplog: pytest.LogCaptureFixture) -> None:
        with otelctx.request():
            otelctx.set(user_id="a")
        assert caplog.records == []

    def test_inside_a_bare_span_it_holds_after_the_span(self, tracer: Tracer) -> None:
        with tracer.start_as_current_span("a"):
            otelctx.set(tenant="acme")
            with tracer.start_as_current_span("b"):
                otelctx.set(user_id="u")
        assert otelctx.get("tenant") == "acme"
        assert otelctx.get("user_id") == "u"

    def test_a_thread_keeps_what_it_sets_to_itself(self) -> None:
        def work() -> object:
            otelctx.set(user_id="thread")
            return otelctx.get("user_id")

        otelctx.set(user_id="main")
        assert in_thread(work) == "thread"
        assert otelctx.get("user_id") == "main"

    async def test_a_task_starts_with_what_was_set_before_it(self) -> None:
        async def child() -> tuple[object, object, object]:
            otelctx.set(tenant="child")
            return otelctx.get("user_id"), otelctx.get("request_id"), otelctx.get("tenant")

        otelctx.set(user_id="u", tenant="parent")
        assert await asyncio.create_task(child()) == ("u", otelctx.get("request_id"), "child")
        assert otelctx.get("tenant") == "parent"

    async def test_a_task_keeps_what_it_sets_after_a_span_ends(self, tracer: Tracer) -> None:
        async def child() -> tuple[object, object]:
            with tracer.start_as_current_span("a"):
                otelctx.set(tenant="child")
            return otelctx.get("tenant"), otelctx.get("step")

        otelctx.set(tenant="parent")
        with otelctx.bind(step="bound"):
            assert await asyncio.create_task(child()) == ("child", "bound")

    def test_a_binding_around_ends_and_what_was_set_stays(self) -> None:
        with otelctx.bind(step="bound", other="bound"):
            otelctx.set(step="set")
        assert otelctx.get("step") == "set"
        assert otelctx.get("other") is None

    def test_a_request_opened_afterwards_starts_with_it_and_keeps_its_own(self, tracer: Tracer) -> None:
        with tracer.start_as_current_span("a"):
            otelctx.set(tenant="outer")
        with otelctx.request():
            assert otelctx.get("tenant") == "outer"
            otelctx.set(tenant="inner")
        assert otelctx.get("tenant") == "outer"


class Hostile:
    """A carrier that raises whatever is asked of it."""

    def get(self, *_: object) -> object:
        raise RuntimeError("hostile")

    def keys(self) -> list[str]:
        raise RuntimeError("hostile")


class TestTelemetryNeverBreaksTheApplication:
    """10. No call on the request path raises for bad input from outside, blocks, or grows without bound."""

    def test_a_carrier_that_raises_still_gives_a_request(self) -> None:
        with otelctx.request(peer="unix", carrier=Hostile()):  # type: ignore[arg-type]
            assert otelctx.get("request_id") is not None
        assert counts() == {"extract.failed": 1}

    def test_a_value_that_does_not_fit_is_refused_and_no_other_is_in_its_place(self) -> None:
        with otelctx.request(user_id="u"):
            otelctx.set(user_id="x" * 257)
            assert otelctx.get("user_id") is None
        assert counts() == {"field.refused": 1}

    def test_an_object_that_has_no_text_is_refused(self) -> None:
        class Untextual:
            def __str__(self) -> str:
                raise RuntimeError("no text")

        with otelctx.request(user_id=Untextual()):
            assert otelctx.get("user_id") is None

    def test_a_text_that_has_no_encoding_is_refused(self) -> None:
        headers: dict[str, str] = {}
        with otelctx.request(user_id="\udcff"):
            attach(baggage.set_baggage("colour", "\udcff"))
            assert otelctx.get("user_id") is None
            otelctx.inject(headers)
        assert "colour=?" in headers["baggage"]

    def test_functions_of_a_declaration_that_raise_are_reported(self) -> None:
        def broken(*_: object) -> Any:
            raise RuntimeError("broken")

        otelctx.declare(
            otelctx.Field("a", validate=broken), otelctx.Field("b", generate=broken), otelctx.Field("c", type=int)
        )
        with otelctx.request(a="x", c="no number"):
            assert otelctx.get("a") is None
            assert otelctx.get("b") is None
            assert otelctx.get("c") is None
        assert counts()["field.validate_raised"] == 1
        assert counts()["field.generate_raised"] == 1

    def test_baggage_added_in_a_loop_stays_shallow(self) -> None:
        with otelctx.request():
            context = get_current()
            for number in range(1000):
                context = baggage.set_baggage("n", number, context)
            assert baggage.get_baggage("n", context) == "999"
            depth = 0
            layer = next(value for value in context.values() if hasattr(value, "parent"))
            while layer is not None:
                depth, layer = depth + 1, layer.parent
            assert depth <= 65

    @pytest.mark.parametrize("verb", [otelctx.set, otelctx.bind, otelctx.request])
    def test_a_mistake_of_the_programmer_raises_at_once(self, verb: Callable[..., object]) -> None:
        otelctx.declare(otelctx.Field("tenant"), strict=True)
        with pytest.raises(otelctx.UnknownFieldError, match="'tennant' is not declared; did you mean 'tenant'"):
            verb(tennant="acme")
        with pytest.raises(otelctx.UnknownFieldError, match="did you mean 'tenant'"):
            otelctx.get("tennant")
