"""
What leaves a process for the collector: what it costs to encode, and how much of it goes through without a loss.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from benchmarks.harness.case import Group, Work

SDK: Final = "SDK's encoder"
PROCESSOR: Final = "SDK's batch processor"

GROUP: Final = Group("export")


def encoded(name: str, make: Callable[[], Any], items: int, signal: str = "spans", **options: Any) -> None:
    """Add a case: what *make* makes is encoded, by the encoder of *signal*; the numbers are of one item."""
    case = GROUP.case(f"encode a {name}", **options)

    @case.contender(SDK)
    def sdk() -> Work:
        from opentelemetry.exporter.otlp.proto.common import _log_encoder, metrics_encoder, trace_encoder

        encoders: dict[str, Callable[[Any], Any]] = {
            "spans": trace_encoder.encode_spans,
            "logs": _log_encoder.encode_logs,
            "metrics": metrics_encoder.encode_metrics,
        }
        batch, encode = make(), encoders[signal]
        return _batches(lambda: encode(batch).SerializeToString(), items)

    @case.contender("otelctx")
    def ours() -> Work:
        from otelctx.export.otlp import encode_logs, encode_metrics, encode_spans

        encoders: dict[str, Callable[[Any], bytes]] = {
            "spans": encode_spans,
            "logs": encode_logs,
            "metrics": encode_metrics,
        }
        batch, encode = make(), encoders[signal]
        return _batches(lambda: encode(batch), items)


def _batches(call: Callable[[], object], items: int) -> Work:
    def work(calls: int) -> dict[str, float]:
        import time

        rounds = max(1, calls // items)
        cpu, wall = time.process_time_ns(), time.perf_counter_ns()
        for _ in range(rounds):
            call()
        cpu, wall = time.process_time_ns() - cpu, time.perf_counter_ns() - wall
        return {"cpu": cpu / rounds / items / 1000, "wall": wall / rounds / items / 1000}

    return work


def _spans() -> Any:
    from benchmarks.cases import telemetry

    return telemetry.spans()


def _spans_of_ours() -> Any:
    from benchmarks.cases import telemetry
    from otelctx.signals import tracing

    tracing.install()
    return telemetry.spans()


def _different_spans() -> Any:
    from benchmarks.cases import telemetry

    return telemetry.spans(telemetry.different_attributes)


def _failed_spans() -> Any:
    from benchmarks.cases import telemetry

    return telemetry.spans(more=telemetry.failing)


def _one_span() -> Any:
    from benchmarks.cases import telemetry

    return telemetry.spans(count=1)


def _logs() -> Any:
    from benchmarks.cases import telemetry

    return telemetry.log_records()


def _histogram() -> Any:
    from benchmarks.cases import telemetry

    return telemetry.metric_points("histogram")


def _counter() -> Any:
    from benchmarks.cases import telemetry

    return telemetry.metric_points("counter")


# In batches as they are sent; one is 512 spans or log records, or 256 points.
encoded("span, 14 attributes", _spans, 512, targets={SDK: 0.1})
encoded("span of ours, 14 attributes", _spans_of_ours, 512, targets={SDK: 0.1})
encoded("span, all values different", _different_spans, 512, quick=False)
encoded("span, 2 events", _failed_spans, 512, quick=False)
encoded("span alone in its batch", _one_span, 1, quick=False)
encoded("log record, 6 attributes", _logs, 512, "logs", quick=False)
encoded("histogram point, 8 attributes", _histogram, 256, "metrics", quick=False)
encoded("counter point, 8 attributes", _counter, 256, "metrics", quick=False)

recording = GROUP.case("record a metric, 8 attributes", targets={"SDK's histogram": 0.1})
# A turn tries each rate for so many hundredths of a second; the queue of 2,048 hides a twentieth of 10,000 spans/s.
lossless = GROUP.case("no span lost", measure="spans/s", targets={PROCESSOR: 8}, calls=400, turns=3, quick=False)


@recording.contender("SDK's histogram")
def _record_by_sdk() -> Work:
    from opentelemetry.metrics import get_meter

    from benchmarks.cases.loops import repeated
    from benchmarks.cases.sdk import measure_metrics
    from benchmarks.cases.telemetry import point_attributes

    measure_metrics()
    histogram, attributes = get_meter("shop").create_histogram("http.server.request.duration"), point_attributes()
    return repeated(lambda: histogram.record(0.2, attributes))


@recording.contender("otelctx")
def _record() -> Work:
    from otelctx.setup.install import install

    install()
    return _record_by_sdk()


@lossless.contender(PROCESSOR)
def _by_sdk() -> Work:
    from benchmarks.cases.rates import highest_rate, of_sdk

    return highest_rate(of_sdk)


@lossless.contender("otelctx")
def _by_ours() -> Work:
    from benchmarks.cases.rates import highest_rate, of_ours

    return highest_rate(of_ours)
