"""The store's file: whose it is, what is refused, and how failures show."""

from __future__ import annotations

import sqlite3
import stat

import pytest

from otelctx.collector.config import CollectorConfig
from otelctx.collector.counters import Counters
from otelctx.collector.store import Store
from otelctx.errors import CollectorError


def opened(path):
    return Store(CollectorConfig(store=path), Counters())


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state" / "otelctx" / "collector.sqlite3"


def test_only_the_owner_can_read_it(path):
    opened(path).close()
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()} == {0o600}


def test_a_second_collector_on_the_same_file_is_an_error(path):
    store = opened(path)
    with pytest.raises(CollectorError, match=r"in use by another collector; .* --store"):
        opened(path)
    store.close()
    opened(path).close()


def test_garbage_is_an_error_and_stays(path):
    path.parent.mkdir(parents=True)
    path.write_bytes(b"my holiday pictures" * 1_000)
    with pytest.raises(CollectorError, match=r"damaged or not a database .* move it away, or name another"):
        opened(path)
    assert path.read_bytes() == b"my holiday pictures" * 1_000


def test_a_damaged_page_is_an_error(path, otlp):
    opened(path).close()
    data = bytearray(path.read_bytes())
    data[4096 * 3 : 4096 * 3 + 2_000] = b"\x55" * 2_000
    path.write_bytes(data)
    with pytest.raises(CollectorError, match="damaged"):
        opened(path)
    assert path.read_bytes() == data


def test_a_newer_schema_is_an_error(path):
    opened(path).close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(CollectorError, match="has schema 99 and this otelctx knows 1"):
        opened(path)


def test_another_programs_database_is_an_error(path):
    path.parent.mkdir(parents=True)
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE songs (title)")
    connection.close()
    with pytest.raises(CollectorError, match="of another program"):
        opened(path)


def test_a_place_that_cannot_be_written_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CollectorError, match=r"Cannot write the store .* --store"):
        opened(tmp_path / "file" / "collector.sqlite3")


def test_a_store_in_memory_leaves_nothing(start, otlp):
    running = start()
    assert running.post("/v1/logs", otlp.logs({})).status_code == 200
    directory = next(iter(running.collector.store_path.parents))
    assert directory.exists()
    running.stop()
    assert not directory.exists()


def test_health_tells_when_nothing_can_be_stored(start, tmp_path, otlp):
    running = start(store=tmp_path / "s.sqlite3")
    assert running.get("/healthz").json() == {"status": "ok"}
    damage = sqlite3.connect(tmp_path / "s.sqlite3")
    damage.executescript("ALTER TABLE probe RENAME TO elsewhere; ALTER TABLE logs RENAME TO gone")
    assert running.get("/healthz").status_code == 503
    answer = running.post("/v1/logs", otlp.logs({}))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    damage.executescript("ALTER TABLE elsewhere RENAME TO probe; ALTER TABLE gone RENAME TO logs")
    damage.close()
    assert running.get("/healthz").status_code == 200
    assert running.post("/v1/logs", otlp.logs({})).status_code == 200
