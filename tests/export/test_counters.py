"""What is counted is seen as metrics."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROGRAM = """
import sys
from pathlib import Path
from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from otelctx.export.endpoint import Endpoint
from otelctx.export.exporters import SpoolingSpanExporter
from otelctx.export.settings import SpoolSettings
from pathlib import Path

exporter = SpoolingSpanExporter(SpoolSettings(Path(sys.argv[1]), max_bytes=20_000), Endpoint(sys.argv[2]))
# As under auto-instrumentation, the meter provider may come after the exporter.
reader = InMemoryMetricReader()
metrics.set_meter_provider(MeterProvider([reader]))
tracer = TracerProvider(shutdown_on_exit=False).get_tracer("tests")
for _ in range(20):
    exporter.export([tracer.start_span("work") for _ in range(20)])
for resource in reader.get_metrics_data().resource_metrics:
    for scope in resource.scope_metrics:
        for metric in scope.metrics:
            for point in metric.data.data_points:
                attributes = " ".join(f"{key}={value}" for key, value in sorted(point.attributes.items()))
                print(scope.scope.name, metric.name, metric.unit, metric.data.is_monotonic, attributes, point.value)
exporter.shutdown()
"""


def test_what_was_spooled_and_what_was_dropped_and_why_are_monotonic_sums(tmp_path: Path, closed_port: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path), f"http://127.0.0.1:{closed_port}/v1/traces"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    dropped, spooled = sorted(done.stdout.splitlines())
    assert spooled == "otelctx.export otelctx.export.spooled {item} True signal=traces 400"
    told, _, items = dropped.rpartition(" ")
    assert told == "otelctx.export otelctx.export.dropped {item} True reason=spool_full signal=traces"
    assert 0 < int(items) < 400
    assert int(items) % 20 == 0
    # One line in the log for each kind of trouble, however many batches it was.
    lines = [line for line in done.stderr.splitlines() if "are dropped" in line]
    assert len(lines) == 1
    assert "20 spans are dropped; the spool may have 20000 bytes, and the oldest go" in lines[0]
