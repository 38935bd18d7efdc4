"""Services with workers whose collector is away, and which end, well or badly, before it is back."""

from __future__ import annotations

import signal
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.export.conftest import LocalCollector
from tests.zero_code.conftest import Collector, Service

REQUESTS = [f"of-the-outage-{number}" for number in range(30)]


@pytest.fixture
def local(tmp_path: Path) -> Iterator[LocalCollector]:
    local = LocalCollector(tmp_path)
    yield local
    local.stop(signal.SIGKILL)


def on_disk(spool: Path) -> Counter[str]:
    """Return how many items of each signal wait."""
    waiting: Counter[str] = Counter()
    for file in spool.glob("*/*.sqlite3"):
        with closing(sqlite3.connect(file)) as connection:
            ((items,),) = connection.execute("SELECT coalesce(sum(items), 0) FROM batches")
            waiting[file.name.partition("-")[0]] += items
    return waiting


@pytest.mark.parametrize(
    "command",
    [
        "uvicorn --port {port} --workers 2 caller:app",
        "gunicorn --bind 127.0.0.1:{port} --access-logfile - --workers 2 -k uvicorn_worker.UvicornWorker caller:app",
        "gunicorn --bind 127.0.0.1:{port} --preload --workers 2 -k uvicorn_worker.UvicornWorker caller:app",
    ],
    ids=["uvicorn", "gunicorn", "gunicorn --preload"],
)
@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_what_the_workers_recorded_is_delivered_once_by_the_next_start(
    local: LocalCollector, tmp_path: Path, wait_for: Callable[..., Any], command: str, end: signal.Signals
) -> None:
    collector = Collector(local.url, local.store)
    environment = {"OTELCTX_SPOOL_DIRECTORY": str(tmp_path / "spool"), "OTEL_SERVICE_NAME": "shop"}

    def start() -> Service:
        service = Service(collector, tmp_path, command.split(), **environment)
        service.wait_until_ready()
        return service

    local.stop()
    first = start()
    try:
        for request_id in REQUESTS:
            assert first.get("/called", {"x-request-id": request_id}).status == 200
        if end is signal.SIGKILL:
            wait_for(lambda: on_disk(tmp_path / "spool")["traces"] == len(REQUESTS), what="all spans on disk")
        else:
            first.stop()
    finally:
        first.kill()
    assert on_disk(tmp_path / "spool")["traces"] == len(REQUESTS)
    local.start()
    second = start()
    try:
        wait_for(lambda: not on_disk(tmp_path / "spool")["traces"], what="the delivery")
    finally:
        second.kill()
    delivered = Counter(span["request_id"] for span in collector.spans(service="shop"))
    assert delivered == Counter(REQUESTS)
