"""
A request through uvicorn on 127.0.0.1 under as much load as it can serve, with its telemetry sent to a collector.

The server has a core to itself; the load and the collector share another. CPU is all that the server's process takes
for a request until its spans have been taken by the collector, of all its threads.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from benchmarks.cases.asgi import App, answering
from benchmarks.cases.log_lines import FORMAT, RECIPE_FORMAT, log_line
from benchmarks.cases.request import nothing, setting_user
from benchmarks.harness.case import Group, Work

if TYPE_CHECKING:
    from benchmarks.cases.sink import Sink

RAW: Final = "no telemetry"
RECIPE: Final = "hand recipe"
_SATURATED: Final = {"p50": {RECIPE: 0.4}, "p99": {RECIPE: 0.5}, "requests/s": {}}

GROUP: Final = Group("server")
traced = GROUP.case("traced, spans exported", over=RAW, targets={RECIPE: 0.25}, also=_SATURATED, calls=1000, turns=15)
everything = GROUP.case(
    "traced, spans, metrics and logs exported", over=RAW, also=_SATURATED, calls=1000, turns=15, quick=False
)


def serving(app: App, flush: Callable[[], object] = nothing) -> Work:
    """Return the work that is a request to *app*, served by uvicorn; *flush* sends what waits to be sent."""
    import uvicorn

    from benchmarks.cases.load import Load

    loop, load = asyncio.new_event_loop(), Load()
    config = uvicorn.Config(app, "127.0.0.1", 0, log_config=None, access_log=False, lifespan="off", loop="asyncio")
    server = uvicorn.Server(config)

    async def started() -> Any:
        serve = asyncio.create_task(server.serve())
        while not server.started:  # noqa: ASYNC110 - it has no event
            await asyncio.sleep(0.01)
        return serve

    _running.append(loop.run_until_complete(started()))
    port = server.servers[0].sockets[0].getsockname()[1]

    def work(calls: int) -> dict[str, float]:
        numbers = loop.run_until_complete(asyncio.to_thread(load.make, port, calls))
        flush()
        return numbers

    # A server that has just started is slower.
    work(500)
    return work


_running: list[Any] = []


@traced.contender(RAW)
@everything.contender(RAW)
def _raw() -> Work:
    return serving(answering(nothing))


def _exported(sink: Sink, *, ours: bool, signals: bool) -> tuple[Any, Callable[[], object]]:
    """Make the global providers, which export to *sink*; return the one of traces, and what flushes all."""
    from opentelemetry import metrics, trace
    from opentelemetry._logs import set_logger_provider
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    from opentelemetry.sdk.trace import TracerProvider

    from benchmarks.cases.sdk import RESOURCE

    spans, logs, points = (_by_ours if ours else _by_sdk)(sink)
    provider = TracerProvider(resource=RESOURCE, shutdown_on_exit=False)
    provider.add_span_processor(spans)
    trace.set_tracer_provider(provider)
    if not signals:
        return provider, provider.force_flush
    logging = LoggerProvider(RESOURCE, shutdown_on_exit=False)
    logging.add_log_record_processor(logs)
    set_logger_provider(logging)
    metering = MeterProvider([PeriodicExportingMetricReader(points)], RESOURCE, shutdown_on_exit=False)
    metrics.set_meter_provider(metering)
    return provider, lambda: (provider.force_flush(), logging.force_flush(), metering.force_flush())


def _by_sdk(sink: Sink) -> tuple[Any, Any, Any]:
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    return (
        BatchSpanProcessor(OTLPSpanExporter(sink.url)),
        BatchLogRecordProcessor(OTLPLogExporter(sink.url.replace("traces", "logs"))),
        OTLPMetricExporter(sink.url.replace("traces", "metrics")),
    )


def _by_ours(sink: Sink) -> tuple[Any, Any, Any]:
    from otelctx.export.endpoint import Endpoint
    from otelctx.export.exporters import SpoolingLogRecordExporter, SpoolingMetricExporter, SpoolingSpanExporter
    from otelctx.export.processors import SpoolingLogRecordProcessor, SpoolingSpanProcessor
    from otelctx.export.settings import SpoolSettings

    settings = SpoolSettings(Path(tempfile.mkdtemp(prefix="otelctx-benchmark-")), "shop")
    traces, logs, points = (Endpoint(sink.url.replace("traces", signal)) for signal in ("traces", "logs", "metrics"))
    return (
        SpoolingSpanProcessor(SpoolingSpanExporter(settings, traces)),
        SpoolingLogRecordProcessor(SpoolingLogRecordExporter(settings, logs)),
        SpoolingMetricExporter(settings, points),
    )


def _recipe(*, signals: bool) -> Work:
    from benchmarks.cases.recipes import hand_recipe
    from benchmarks.cases.sink import Sink

    provider, flush = _exported(Sink(), ours=False, signals=signals)
    return serving(hand_recipe(answering(log_line(RECIPE_FORMAT)), provider, otlp_logs=signals), flush)


def _ours(*, signals: bool) -> Work:
    from opentelemetry.instrumentation.logging import LoggingInstrumentor

    from benchmarks.cases.sink import Sink
    from otelctx.setup.install import install

    _, flush = _exported(Sink(), ours=True, signals=signals)
    install()
    if signals:
        LoggingInstrumentor().instrument()
    # Installed, otelctx stands at the server's edge by itself.
    return serving(answering(setting_user(log_line(FORMAT))), flush)


@traced.contender(RECIPE)
def _recipe_traced() -> Work:
    return _recipe(signals=False)


@traced.contender("otelctx")
def _traced() -> Work:
    return _ours(signals=False)


@everything.contender(RECIPE)
def _recipe_everything() -> Work:
    return _recipe(signals=True)


@everything.contender("otelctx")
def _everything() -> Work:
    return _ours(signals=True)
