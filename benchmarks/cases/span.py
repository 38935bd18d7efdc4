"""
One span, started and ended; it is queued for export, and the exporter does nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from benchmarks.cases.loops import repeated
from benchmarks.harness.case import Case, Group, Work

SDK: Final = "OTel SDK"
BAGGAGE: Final = "OTel SDK and BaggageSpanProcessor"
TEN: Final = {
    "http.request.method": "POST",
    "url.full": "http://127.0.0.1:8001/charge",
    "server.address": "127.0.0.1",
    "server.port": 8001,
    "network.protocol.version": "1.1",
    "http.response.status_code": 200,
    "user_agent.original": "python-httpx/0.28.1",
    "http.request.resend_count": 0,
    "peer.service": "payments",
    "app.retried": False,
}

GROUP: Final = Group("span")
root = GROUP.case("root span")
child = GROUP.case("child span")
ten = GROUP.case("child span, 10 attributes", quick=False)
out = GROUP.case("child span, sampled out", quick=False)
STAMPED: Final[dict[int, Case]] = {
    2: GROUP.case("child span, 2 fields", targets={BAGGAGE: 0.2}),
    10: GROUP.case("child span, 10 fields", quick=False),
    32: GROUP.case("child span, 32 fields", targets={BAGGAGE: 0.06}),
}


def spans(case: Case, work: Callable[[Any], Work], **options: Any) -> None:
    """Register the SDK with and without otelctx; *work* makes spans of a tracer, inside one that is current."""

    def stock() -> Work:
        from opentelemetry.trace import get_tracer

        from benchmarks.cases.sdk import SAMPLED_OUT, trace_with

        trace_with(**({"sampler": SAMPLED_OUT} if options.get("sampled_out") else {}))
        tracer = get_tracer("shop")
        _current.append(tracer.start_as_current_span("GET /orders"))
        _current[-1].__enter__()
        return work(tracer)

    def ours() -> Work:
        from otelctx.signals import tracing

        tracing.install()
        return stock()

    case.contenders[SDK] = stock
    case.contenders["otelctx"] = ours


_current: list[Any] = []


def _root(tracer: Any) -> Work:
    from opentelemetry.context import Context

    context = Context()
    return repeated(lambda: tracer.start_span("nightly", context).end())


def _child(tracer: Any) -> Work:
    def call() -> None:
        with tracer.start_as_current_span("charge"):
            pass

    return repeated(call)


def _ten(tracer: Any) -> Work:
    def call() -> None:
        with tracer.start_as_current_span("charge", attributes=TEN):
            pass

    return repeated(call)


spans(root, _root)
spans(child, _child)
spans(ten, _ten)
spans(out, _child, sampled_out=True)


def stamped(count: int, case: Case) -> None:
    """Register what puts so many fields on each span."""
    fields = {f"field_{number}": f"value {number}" for number in range(count)}

    @case.contender(BAGGAGE)
    def baggage() -> Work:
        from opentelemetry.baggage import set_baggage
        from opentelemetry.context import attach, get_current
        from opentelemetry.processor.baggage import ALLOW_ALL_BAGGAGE_KEYS, BaggageSpanProcessor
        from opentelemetry.trace import get_tracer

        from benchmarks.cases.sdk import trace_with

        trace_with().add_span_processor(BaggageSpanProcessor(ALLOW_ALL_BAGGAGE_KEYS))
        context = get_current()
        for name, value in fields.items():
            context = set_baggage(name, value, context)
        attach(context)
        return in_a_span(get_tracer("shop"))

    @case.contender("otelctx")
    def ours() -> Work:
        from opentelemetry.trace import get_tracer

        import otelctx
        from benchmarks.cases.sdk import trace_with
        from otelctx.setup.install import install

        trace_with()
        install()
        # One of them is the request's id, which a request always has.
        names = [*fields][:-1]
        otelctx.declare(*(otelctx.Field(name, remote=True) for name in names))
        _current.append(otelctx.request(request_id="r1", **{name: fields[name] for name in names}))
        _current[-1].__enter__()
        return in_a_span(get_tracer("shop"))

    def in_a_span(tracer: Any) -> Work:
        _current.append(tracer.start_as_current_span("GET /orders"))
        _current[-1].__enter__()
        return _child(tracer)


for count, case in STAMPED.items():
    stamped(count, case)
