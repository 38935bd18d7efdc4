"""Filesystems that are full or cannot be written: real ones, in memory, mounted in a namespace of their own."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.export.conftest import Scripted

_NAMESPACE = ["unshare", "--user", "--map-root-user", "--mount"]

pytestmark = pytest.mark.skipif(
    shutil.which("unshare") is None
    or subprocess.run(
        [*_NAMESPACE, "mount", "-t", "tmpfs", "tmpfs", "/mnt"], check=False, capture_output=True
    ).returncode
    != 0,
    reason="mounting in a namespace of one's own is not allowed here",
)

PROGRAM = """
import errno, json, os, subprocess, sys, time
from pathlib import Path
from opentelemetry.sdk.trace import TracerProvider
from otelctx.export.counters import COUNTERS
from otelctx.export.endpoint import Endpoint
from otelctx.export.exporters import SpoolingSpanExporter
from otelctx.export.processors import SpoolingSpanProcessor
from otelctx.export.settings import SpoolSettings

place, told = Path(sys.argv[1]), {}
mount = ("mount", "-t", "tmpfs", "-o", "size=1m,mode=700", "tmpfs", place)
subprocess.run(mount, check=True)

def start(**settings):
    exporter = SpoolingSpanExporter(SpoolSettings(place, "shop", **settings), Endpoint(sys.argv[2]))
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SpoolingSpanProcessor(exporter))
    return exporter, provider

def make(provider, count):
    for _ in range(count):
        provider.get_tracer("tests").start_span("work").end()

def until(check):
    deadline = time.monotonic() + 60
    while not check():
        assert time.monotonic() < deadline
        time.sleep(0.02)

def tell(**more):
    names = ("spooled", "delivered")
    counts = {name: COUNTERS.value(name, "traces") for name in names} | {"dropped": COUNTERS.total("dropped", "traces")}
    print(json.dumps({**counts, **more}), flush=True)
"""

DISK_FULL = """
exporter, provider = start()
make(provider, 10)
acknowledged = provider.force_flush()
with open(place / "somebody else's", "wb", buffering=0) as full:
    try:
        while True:
            full.write(b"x" * 4096)
    except OSError as error:
        assert error.errno == errno.ENOSPC
make(provider, 3000)
tell(flushed=[acknowledged, provider.force_flush()])
(place / "somebody else's").unlink()
until(lambda: COUNTERS.value("spooled", "traces") == 3010)
tell(flushed=[provider.force_flush()])
provider.shutdown()
"""

DISK_FULL_AND_A_COLLECTOR = """
exporter, provider = start(requests_per_second=1000)
make(provider, 10)
provider.force_flush()
with open(place / "somebody else's", "wb", buffering=0) as full:
    try:
        while True:
            full.write(b"x" * 4096)
    except OSError as error:
        assert error.errno == errno.ENOSPC
for _ in range(50):
    make(provider, 100)
    provider.force_flush()
until(lambda: COUNTERS.value("delivered", "traces") == 5010)
tell(flushed=[provider.force_flush()])
(place / "somebody else's").unlink()
make(provider, 10)
until(lambda: provider.force_flush() and exporter.spool.is_empty())
tell()
provider.shutdown()
"""

READ_ONLY = """
(place / "shop").mkdir(mode=0o700)
subprocess.run(("mount", "-o", "remount,ro", place), check=True)
exporter, provider = start()
make(provider, 100)
provider.force_flush()
until(lambda: COUNTERS.value("delivered", "traces") == 100)
tell()
provider.shutdown()
"""

FULL_FROM_THE_START = """
(place / "shop").mkdir(mode=0o700)
number = 0
try:
    while True:
        (place / f"somebody else's {number}").write_bytes(b"x" * 4096)
        number += 1
except OSError as error:
    assert error.errno == errno.ENOSPC
exporter, provider = start()
make(provider, 100)
provider.force_flush()
until(lambda: COUNTERS.value("delivered", "traces") == 100)
tell()
provider.shutdown()
"""


def run(program: str, folder: Path, url: str) -> tuple[list[dict[str, Any]], str]:
    """Return what *program* tells, and what was logged."""
    done = subprocess.run(
        [*_NAMESPACE, sys.executable, "-c", PROGRAM + program, folder, url],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()], done.stderr


def test_a_disk_that_is_full_costs_nothing_and_is_said_and_what_waits_in_memory_moves_to_it_later(
    tmp_path: Path, closed_port: int
) -> None:
    (full, freed), log = run(DISK_FULL, tmp_path, f"http://127.0.0.1:{closed_port}/v1/traces")
    assert full["dropped"] == freed["dropped"] == 0
    assert full["flushed"] == [True, False]
    assert 10 <= full["spooled"] < 3010
    assert freed["flushed"] == [True]
    assert freed["spooled"] == 3010
    assert log.count("The spool of spans cannot be used: database or disk is full; they wait in memory only") == 1


def test_a_disk_that_is_full_has_nothing_sent_twice_that_cannot_be_removed_from_it(
    tmp_path: Path, scripted: Scripted
) -> None:
    (full, freed), _ = run(DISK_FULL_AND_A_COLLECTOR, tmp_path, scripted.endpoint.url)
    assert full == {"spooled": full["spooled"], "delivered": 5010, "dropped": 0, "flushed": [True]}
    assert (freed["delivered"], freed["dropped"]) == (5020, 0)
    sent = Counter(
        span.span_id
        for _, body in scripted.received
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    )
    assert (len(sent), set(sent.values())) == (5020, {1})


@pytest.mark.parametrize("program", [READ_ONLY, FULL_FROM_THE_START], ids=["read-only", "full from the start"])
def test_where_nothing_can_be_written_everything_is_delivered_from_memory_and_that_is_said(
    tmp_path: Path, scripted: Scripted, program: str
) -> None:
    (told,), log = run(program, tmp_path, scripted.endpoint.url)
    assert told == {"spooled": 0, "delivered": 100, "dropped": 0}
    assert log.count("cannot be used") == 1
