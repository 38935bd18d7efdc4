"""Several processes, one spool: forks, workers, and a leader that dies."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from otelctx.export.exporters import SpoolingSpanExporter
from otelctx.export.settings import SpoolSettings
from tests.export.conftest import LocalCollector

# The parent is under load while it forks, again and again; each process makes spans of its own until it ends.
FORKS = """
import json, os, sys, threading, time
from pathlib import Path
from opentelemetry.sdk.trace import TracerProvider
from otelctx.export.batching import BatchSettings
from otelctx.export.counters import COUNTERS
from otelctx.export.endpoint import Endpoint
from otelctx.export.exporters import SpoolingSpanExporter
from otelctx.export.processors import SpoolingSpanProcessor
from otelctx.export.settings import SpoolSettings
exporter = SpoolingSpanExporter(SpoolSettings(Path(sys.argv[1]), "shop"), Endpoint(sys.argv[2]))
provider = TracerProvider(shutdown_on_exit=False)
provider.add_span_processor(SpoolingSpanProcessor(exporter, BatchSettings(0.02, 32, 64)))
tracer, ended, stop = provider.get_tracer("tests"), [], threading.Event()
def make(count):
    for _ in range(count):
        with tracer.start_as_current_span("work") as span:
            pass
        ended.append(f"{span.get_span_context().span_id:016x}")
def load():
    while not stop.is_set():
        make(5)
        time.sleep(0.001)
threads = [threading.Thread(target=load) for _ in range(3)]
for thread in threads:
    thread.start()
children = []
for _ in range(12):
    child = os.fork()
    if child == 0:
        ended.clear()
        make(300)
        flushed = provider.force_flush(20_000)
        provider.shutdown()
        spooled = COUNTERS.value("spooled", "traces")
        Path(sys.argv[3], f"child-{os.getpid()}").write_text(json.dumps([flushed, spooled, ended]))
        os._exit(0)
    children.append(child)
    time.sleep(0.02)
status = [os.waitpid(child, 0)[1] for child in children]
stop.set()
for thread in threads:
    thread.join()
flushed = provider.force_flush(20_000)
provider.shutdown()
Path(sys.argv[3], "parent").write_text(json.dumps([flushed, COUNTERS.value("spooled", "traces"), ended]))
assert status == [0] * 12, status
"""


class TestForks:
    def test_of_a_loaded_process_lose_nothing_send_nothing_twice_and_count_apart(
        self, collector: LocalCollector, tmp_path: Path
    ) -> None:
        notes = tmp_path / "notes"
        notes.mkdir()
        subprocess.run(
            [
                *(sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORKS),
                *(tmp_path / "spool", f"{collector.url}/v1/traces", notes),
            ],
            timeout=120,
            check=True,
        )
        told = [json.loads(path.read_text()) for path in notes.iterdir()]
        assert len(told) == 13
        assert all(flushed for flushed, _, _ in told)
        assert [spooled for _, spooled, _ in told] == [len(ended) for _, _, ended in told]
        ended = [span for _, _, spans in told for span in spans]
        delivered = collector.span_ids()
        assert set(delivered) == set(ended)
        assert sum(delivered.values()) == len(delivered)


LEADING = """
import fcntl, os, sys, threading
from pathlib import Path
from otelctx.export.leadership import Leadership
path = Path(sys.argv[1])
taking, forked = threading.Event(), threading.Event()
flock = fcntl.flock
def slow(descriptor, operation):
    # Makes the moment between having the lock and knowing so as long as it takes to fork, if a fork is possible in it.
    flock(descriptor, operation)
    taking.set()
    forked.wait(0.5)
fcntl.flock = slow
leadership = Leadership(path)
thread = threading.Thread(target=leadership.acquire)
thread.start()
taking.wait()
child = os.fork()
if child == 0:
    held = [name for name in os.listdir("/proc/self/fd") if os.path.realpath(f"/proc/self/fd/{name}") == str(path)]
    os._exit(len(held))
forked.set()
thread.join()
assert leadership.is_held
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


class TestTheLeader:
    @pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="shows the files that a process has open")
    def test_that_becomes_one_while_the_process_forks_leaves_nothing_of_the_lock_in_the_child(
        self, tmp_path: Path
    ) -> None:
        command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", LEADING, tmp_path / "traces.lock"]
        subprocess.run(command, timeout=60, check=True)

    def test_when_it_is_killed_another_process_sends_what_it_left(
        self,
        collector: LocalCollector,
        settings: SpoolSettings,
        spans: Callable[[int], Any],
        wait_for: Callable[..., Any],
        tmp_path: Path,
    ) -> None:
        endpoint = collector.endpoint()
        reading, writing = os.pipe()
        leader = os.fork()
        if leader == 0:
            exporter = SpoolingSpanExporter(settings, endpoint)
            exporter.export(spans(1))
            exporter.force_flush()
            os.write(writing, b"it leads")
            signal.pause()
        assert os.read(reading, 8) == b"it leads"
        collector.stop()
        other = SpoolingSpanExporter(settings, endpoint)
        made = spans(20)
        other.export(made)
        os.kill(leader, signal.SIGKILL)
        os.waitpid(leader, 0)
        collector.start()
        wait_for(other.spool.is_empty, what="the delivery by the other")
        assert set(collector.span_ids()) >= {f"{span.context.span_id:016x}" for span in made}
        other.shutdown()
