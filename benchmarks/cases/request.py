"""
One request to an ASGI application in this process, with all that is done for it until its answer is sent.

Spans and log records are queued for export; the exporter takes them and does nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Final

from benchmarks.cases.asgi import App, answering, serving
from benchmarks.cases.log_lines import FORMAT, ID_FORMAT, RECIPE_FORMAT, log_line, unseen
from benchmarks.cases.peers import traced_by_peers
from benchmarks.harness.case import Group, Work

RAW: Final = "no telemetry"
RECIPE: Final = "hand recipe"
DESTINATION: Final = {
    "http.request.method": "POST",
    "url.full": "http://127.0.0.1:8001/charge",
    "server.address": "127.0.0.1",
    "server.port": 8001,
}

GROUP: Final = Group("request")
fields_only = GROUP.case("fields only, one log line", targets={"asgi-correlation-id": 1})
traced = GROUP.case("traced, one log line", targets={RECIPE: 0.2})
peers = GROUP.case("traced, one plain log line", quick=False)
calling = GROUP.case("traced, a child span and an outgoing call", targets={RECIPE: 0.2})
everything = GROUP.case("traced, with metrics and OTLP logs", targets={RECIPE: 0.35})
sampled_out = GROUP.case("sampled out, one log line", targets={RECIPE: 0.25})


def nothing() -> None:
    """Do nothing."""


def calling_with(inject: Callable[[dict[str, str]], None]) -> Callable[[Callable[[], object]], Callable[[], object]]:
    """Return what adds to some work what a client's instrumentation does: a span, and headers to go with the call."""

    def adding(work: Callable[[], object]) -> Callable[[], object]:
        from opentelemetry.trace import SpanKind, get_tracer

        tracer = get_tracer("opentelemetry.instrumentation.httpx")

        def call() -> None:
            work()
            with tracer.start_as_current_span("POST", kind=SpanKind.CLIENT, attributes=DESTINATION):
                inject({})

        return call

    return adding


def inject_by_recipe(headers: dict[str, str]) -> None:
    """Write what OpenTelemetry's propagators write."""
    from opentelemetry.propagate import inject

    inject(headers)


def inject_by_ours(headers: dict[str, str]) -> None:
    """Write what may go to a service of one's own."""
    import otelctx

    otelctx.inject(headers, destination="http://127.0.0.1:8001/charge")


def setting_user(work: Callable[[], object]) -> Callable[[], object]:
    """Return *work*, for a user whom the application knows."""
    import otelctx

    def known() -> None:
        otelctx.set(user_id="alice")
        work()

    return known


def of_recipe(
    wrap: Callable[[Callable[[], object]], Callable[[], object]] = lambda work: work,
    *,
    options: dict[str, Any] | None = None,
    signals: bool = False,
    handler: Any = None,
) -> App:
    """Return the application with the recipe around it."""
    from benchmarks.cases.recipes import hand_recipe

    provider = _provided(signals, options or {})
    return hand_recipe(answering(wrap(log_line(RECIPE_FORMAT, handler))), provider, otlp_logs=signals)


def of_ours(
    wrap: Callable[[Callable[[], object]], Callable[[], object]] = lambda work: work,
    *,
    options: dict[str, Any] | None = None,
    signals: bool = False,
    handler: Any = None,
) -> App:
    """Return the application as otelctx serves it."""
    from benchmarks.cases.recipes import ours

    _provided(signals, options or {})
    return ours(answering(setting_user(wrap(log_line(FORMAT, handler)))), otlp_logs=signals)


def _provided(signals: bool, options: dict[str, Any]) -> Any:
    from benchmarks.cases import sdk

    if signals:
        sdk.measure_metrics()
        sdk.log_records()
    return sdk.trace_with(**options)


def _out() -> dict[str, Any]:
    from benchmarks.cases.sdk import SAMPLED_OUT

    return {"sampler": SAMPLED_OUT}


@fields_only.contender(RAW)
@traced.contender(RAW)
def _nothing() -> Work:
    return serving(answering(nothing))


@fields_only.contender("plain log line")
@traced.contender("plain log line")
def _plain() -> Work:
    return serving(answering(log_line()))


@fields_only.contender("asgi-correlation-id")
def _correlation_id() -> Work:
    from asgi_correlation_id import CorrelationIdFilter, CorrelationIdMiddleware

    handler = unseen()
    handler.addFilter(CorrelationIdFilter())
    return serving(CorrelationIdMiddleware(answering(log_line(ID_FORMAT, handler))))  # type: ignore[arg-type]


@fields_only.contender("starlette-context")
def _starlette_context() -> Work:
    from starlette_context import context
    from starlette_context.middleware import RawContextMiddleware
    from starlette_context.plugins import RequestIdPlugin

    class Stamp(logging.Filter):
        def filter(self, record: logging.LogRecord) -> bool:
            record.correlation_id = context["X-Request-ID"]
            return True

    def known() -> None:
        context["user_id"] = "alice"
        log()

    handler = unseen()
    handler.addFilter(Stamp())
    log = log_line(ID_FORMAT, handler)
    return serving(RawContextMiddleware(answering(known), plugins=(RequestIdPlugin(),)))  # type: ignore[arg-type]


@fields_only.contender("otelctx")
def _fields_only() -> Work:
    from otelctx.integrations.asgi import OtelctxMiddleware
    from otelctx.setup.install import install

    install()
    return serving(OtelctxMiddleware(answering(setting_user(log_line(FORMAT))), traced=False, owns_task=True))


@traced.contender(RECIPE)
def _recipe() -> Work:
    return serving(of_recipe())


@traced.contender("otelctx")
def _traced() -> Work:
    return serving(of_ours())


@peers.contender("otelctx")
def _with_plain_line() -> Work:
    from benchmarks.cases.recipes import ours

    _provided(signals=False, options={})
    return serving(ours(answering(setting_user(log_line()))))


@peers.contender("OTel ASGI middleware")
def _otel_alone() -> Work:
    from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware

    _provided(signals=False, options={})
    return serving(OpenTelemetryMiddleware(answering(log_line()), exclude_spans=["receive", "send"]))


traced_by_peers(peers)


@calling.contender(RECIPE)
def _recipe_calling() -> Work:
    return serving(of_recipe(calling_with(inject_by_recipe)))


@calling.contender("otelctx")
def _calling() -> Work:
    return serving(of_ours(calling_with(inject_by_ours)))


@everything.contender(RECIPE)
def _recipe_everything() -> Work:
    return serving(of_recipe(signals=True))


@everything.contender("otelctx")
def _everything() -> Work:
    return serving(of_ours(signals=True))


@sampled_out.contender(RECIPE)
def _recipe_sampled_out() -> Work:
    return serving(of_recipe(options=_out()), more=())


@sampled_out.contender("otelctx")
def _sampled_out() -> Work:
    return serving(of_ours(options=_out()), more=())
