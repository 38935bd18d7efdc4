"""
Growth: what more of something costs. A number is of all of it, so twice as much may cost twice as much, and no more.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from benchmarks.cases.loops import repeated
from benchmarks.harness.case import Case, Group, Work

BAGGAGE: Final = "OTel baggage"
SDK: Final = "OTel SDK"
STAMPED: Final = "OTel SDK and BaggageSpanProcessor"
STOCK: Final = "OTel span and baggage"
TASKS: Final = "tasks alone"
SIZES: Final = (1, 4, 16, 64)

GROUP: Final = Group("growth")


def binding(count: int, case: Case) -> None:
    """Register what binds so many fields."""
    fields = {f"field_{number}": f"value {number}" for number in range(count)}

    @case.contender(BAGGAGE)
    def baggage() -> Work:
        from benchmarks.cases.store import in_baggage

        return in_baggage(fields)

    @case.contender("otelctx")
    def ours() -> Work:
        from benchmarks.cases.store import opened
        from otelctx import bind

        opened()

        def call() -> None:
            with bind(**fields):
                pass

        return repeated(call)


def reading(depth: int, case: Case) -> None:
    """Register what reads a value through so many blocks, each of which binds another field."""

    @case.contender(BAGGAGE)
    def baggage() -> Work:
        from opentelemetry.baggage import get_baggage, set_baggage
        from opentelemetry.context import attach

        context = set_baggage("user_id", "alice")
        for number in range(depth):
            context = set_baggage(f"field_{number}", number, context)
        attach(context)
        return repeated(lambda: get_baggage("user_id"))

    @case.contender("otelctx")
    def ours() -> Work:
        from benchmarks.cases.store import opened
        from otelctx import bind, get

        opened()
        for number in range(depth):
            _blocks.append(bind(**{f"field_{number}": number}))
            _blocks[-1].__enter__()
        return repeated(lambda: get("user_id"))


_blocks: list[Any] = []


def attributed(count: int, case: Case) -> None:
    """Register what starts a span with so many attributes."""
    attributes = {f"app.attribute.{number}": number for number in range(count)}

    @case.contender(SDK)
    def stock() -> Work:
        from opentelemetry.trace import get_tracer

        from benchmarks.cases.sdk import trace_with

        trace_with()
        tracer = get_tracer("shop")
        return repeated(lambda: tracer.start_span("charge", attributes=attributes).end())

    @case.contender("otelctx")
    def ours() -> Work:
        from otelctx.signals import tracing

        tracing.install()
        return stock()


def fanning_out(count: int, case: Case) -> None:
    """Register a span that starts so many tasks, each of which has a child span, in a request with two fields."""

    async def child(tracer: Any) -> None:
        with tracer.start_as_current_span("charge"):
            pass

    async def parent(tracer: Any) -> None:
        with tracer.start_as_current_span("GET /orders"):
            await asyncio.gather(*(child(tracer) for _ in range(count)))

    def fanned() -> Work:
        from opentelemetry.trace import get_tracer

        tracer = get_tracer("shop")
        loop = asyncio.new_event_loop()
        return repeated(lambda: loop.run_until_complete(parent(tracer)))

    @case.contender(STAMPED)
    def stock() -> Work:
        from opentelemetry.baggage import set_baggage
        from opentelemetry.context import attach
        from opentelemetry.processor.baggage import ALLOW_ALL_BAGGAGE_KEYS, BaggageSpanProcessor

        from benchmarks.cases.sdk import trace_with

        trace_with().add_span_processor(BaggageSpanProcessor(ALLOW_ALL_BAGGAGE_KEYS))
        attach(set_baggage("user_id", "alice", set_baggage("request_id", "r1")))
        return fanned()

    @case.contender("otelctx")
    def ours() -> Work:
        import otelctx
        from benchmarks.cases.sdk import trace_with
        from otelctx.setup.install import install

        trace_with()
        install()
        _blocks.append(otelctx.request(request_id="r1", user_id="alice"))
        _blocks[-1].__enter__()
        return fanned()


def in_flight(case: Case) -> None:
    """Register requests that are traced, have two fields, and wait."""

    @case.contender(TASKS)
    def tasks() -> Work:
        from benchmarks.cases.flight import waiting

        return waiting(_nothing_around)

    @case.contender(STOCK)
    def stock() -> Work:
        from benchmarks.cases.flight import waiting
        from benchmarks.cases.sdk import trace_with

        trace_with()
        return waiting(_stock)

    @case.contender("otelctx")
    def ours() -> Work:
        from benchmarks.cases.flight import waiting
        from benchmarks.cases.sdk import trace_with
        from otelctx.setup.install import install

        trace_with()
        install()
        return waiting(_ours)


async def _nothing_around(until: Any, _: str) -> None:
    await until.wait()


async def _stock(until: Any, request_id: str) -> None:
    from opentelemetry.baggage import set_baggage
    from opentelemetry.context import attach, detach
    from opentelemetry.trace import SpanKind, get_tracer

    with get_tracer("shop").start_as_current_span("GET /orders", kind=SpanKind.SERVER):
        token = attach(set_baggage("user_id", "alice", set_baggage("request_id", request_id)))
        await until.wait()
        detach(token)


async def _ours(until: Any, request_id: str) -> None:
    from opentelemetry.trace import SpanKind, get_tracer

    import otelctx

    with (
        otelctx.request(request_id=request_id, user_id="alice"),
        get_tracer("shop").start_as_current_span("GET /orders", kind=SpanKind.SERVER),
    ):
        await until.wait()


for size in SIZES:
    binding(size, GROUP.case(f"bind {size} fields", quick=False))
for size in SIZES:
    reading(size, GROUP.case(f"get through {size} blocks", quick=False))
for size in (*SIZES, 128):
    attributed(size, GROUP.case(f"span with {size} attributes", quick=False))
for size in SIZES:
    fanning_out(size, GROUP.case(f"{size} children fanned out", quick=False))
for size, turns in ((10_000, 3), (100_000, 1)):
    targets = {STOCK: 0.45}
    name = f"a request of {size:,} that wait"
    in_flight(GROUP.case(name, measure="bytes", over=TASKS, targets=targets, calls=size, turns=turns, quick=turns > 1))
