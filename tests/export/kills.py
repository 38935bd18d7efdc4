"""
A loaded service that is killed at random moments, and a count of what that lost: ``make kills``.

Two workers of one service make spans and write down each span that ended and each that was acknowledged. Every so often
one of them is killed, and a new one takes its place; the collector comes and goes as well. In the end, whatever was
acknowledged has to be at the collector. What a worker writes down is a file that it appends to, which the system keeps.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import TracerProvider

from otelctx.export.batches import Batch
from otelctx.export.batching import BatchSettings
from otelctx.export.endpoint import Endpoint
from otelctx.export.exporters import SpoolingSpanExporter
from otelctx.export.processors import SpoolingSpanProcessor
from otelctx.export.settings import SpoolSettings
from tests.export.conftest import LocalCollector, eventually

WORKERS = 2
# A worker starts anew, takes the lead and sends within less; a kill may come at any of these moments.
LONGEST_LIFE_SECONDS = 0.8
BATCHES = BatchSettings(delay_seconds=0.1, batch_size=64, queue_size=256)


@dataclass
class Report:
    """What came of it."""

    kills: int
    ended: int
    acknowledged: int
    acknowledged_and_lost: int
    unacknowledged_and_lost: int
    duplicates: int


class Diary:
    """Ids in a file, in order; a line that a kill cut off does not count."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def note(self, ids: list[str]) -> None:
        os.write(self._descriptor, "".join(f"{span}\n" for span in ids).encode())

    @staticmethod
    def read(folder: Path, pattern: str) -> set[str]:
        return {
            line
            for path in folder.glob(pattern)
            for line in path.read_text().rpartition("\n")[0].split("\n")
            if len(line) == 16
        }


def span_ids(batch: Batch) -> list[str]:
    request = ExportTraceServiceRequest.FromString(batch.payload)
    return [
        span.span_id.hex()
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def work(folder: Path, name: str, settings: SpoolSettings, endpoint: Endpoint) -> None:
    """Make spans until killed."""
    ended, acknowledged = Diary(folder / f"ended-{name}"), Diary(folder / f"acknowledged-{name}")
    exporter = SpoolingSpanExporter(settings, endpoint)

    def noting(accept: Callable[[Batch], bool], batch: Batch) -> bool:
        is_acknowledged = accept(batch)
        if is_acknowledged:
            acknowledged.note(span_ids(batch))
        return is_acknowledged

    exporter.spool.accept = partial(noting, exporter.spool.accept)  # type: ignore[method-assign]
    exporter.spool.accept_at_once = partial(noting, exporter.spool.accept_at_once)  # type: ignore[method-assign]
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SpoolingSpanProcessor(exporter, BATCHES))
    tracer = provider.get_tracer("kills")

    def load() -> None:
        while True:
            with tracer.start_as_current_span("work") as span:
                pass
            ended.note([f"{span.get_span_context().span_id:016x}"])
            time.sleep(0.001)

    for _ in range(2):
        threading.Thread(target=load).start()


def start(folder: Path, number: int, settings: SpoolSettings, endpoint: Endpoint) -> int:
    """Start a worker, and return its process id."""
    child = os.fork()
    if child == 0:
        try:
            work(folder, str(number), settings, endpoint)
            signal.pause()
        finally:
            os._exit(1)
    return child


def kill(kills: int, folder: Path, chance: random.Random, *, write_through: bool) -> Report:
    """Kill workers *kills* times; *folder* is empty."""
    collector = LocalCollector(folder)
    endpoint = collector.endpoint()
    settings = SpoolSettings(folder / "spool", "shop", write_through=write_through)
    workers = [start(folder, number, settings, endpoint) for number in range(WORKERS)]
    for number in range(kills):
        time.sleep(chance.uniform(0.0, LONGEST_LIFE_SECONDS) / WORKERS)
        if number % 10 == 4:
            collector.stop(chance.choice([signal.SIGTERM, signal.SIGKILL]))
        elif number % 10 == 8:
            collector.start()
        victim = workers.pop(chance.randrange(WORKERS))
        os.kill(victim, signal.SIGKILL)
        assert os.waitpid(victim, 0)[1] == signal.SIGKILL, "a worker ended by itself"
        workers.append(start(folder, WORKERS + number, settings, endpoint))
    for worker in workers:
        os.kill(worker, signal.SIGKILL)
        os.waitpid(worker, 0)
    collector.stop()
    collector.start()
    last = SpoolingSpanExporter(settings, endpoint)
    eventually(lambda: last.force_flush() and last.spool.is_empty(), seconds=120, what="the delivery of the rest")
    last.shutdown()
    delivered = collector.span_ids()
    collector.stop()
    ended, acknowledged = Diary.read(folder, "ended-*"), Diary.read(folder, "acknowledged-*")
    return Report(
        kills=kills + WORKERS,
        ended=len(ended),
        acknowledged=len(acknowledged),
        acknowledged_and_lost=len(acknowledged - set(delivered)),
        unacknowledged_and_lost=len(ended - acknowledged - set(delivered)),
        duplicates=sum(delivered.values()) - len(delivered),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--write-through", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        report = kill(arguments.kills, Path(name), random.Random(arguments.seed), write_through=arguments.write_through)
    print(json.dumps({"seed": arguments.seed, "write_through": arguments.write_through, **asdict(report)}, indent=2))
    sys.exit(report.acknowledged_and_lost > 0)


if __name__ == "__main__":
    main()
