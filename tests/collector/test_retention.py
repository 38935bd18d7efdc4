"""The store keeps its bounds, and the oldest arrivals go first."""

from __future__ import annotations

import itertools

from otelctx.collector.config import CollectorConfig
from otelctx.collector.counters import Counters
from otelctx.collector.schema import open_for_reading
from otelctx.collector.signals import LOGS, TRACES
from otelctx.collector.store import Store

DAY = 86_400 * 10**9
MEBIBYTE = 2**20


def stored(store, query):
    connection = open_for_reading(store.path)
    try:
        return [tuple(row) for row in connection.execute(query)]
    finally:
        connection.close()


def put(store, signal, body):
    return store.submit(signal.decode(body, is_json=False, keep_payload=False)).result(30)


def test_the_file_never_exceeds_its_bound(tmp_path, otlp):
    bound = 4 * MEBIBYTE
    counters = Counters()
    store = Store(CollectorConfig(store=tmp_path / "s.sqlite3", max_store_bytes=bound), counters)
    filler = "x" * 400
    for number in range(80):
        batch = [
            {"trace": bytes([1 + number]) * 16, "span": bytes([1 + index]) * 8, "attributes": {"filler": filler}}
            for index in range(200)
        ]
        put(store, TRACES, otlp.trace(*batch))
        assert store.path.stat().st_size <= bound
        assert store.path.with_name("s.sqlite3-wal").stat().st_size <= 2 * bound
    put(store, LOGS, otlp.logs({"body": "last"}))
    traces = [row[0][0] for row in stored(store, "SELECT DISTINCT trace_id FROM spans ORDER BY id")]
    dropped = counters.group("dropped_by_retention")["spans_by_size"]
    assert dropped + stored(store, "SELECT count(*) FROM spans")[0][0] == 80 * 200
    assert traces == list(range(81 - len(traces), 81))
    assert 5 < len(traces) < 80
    # What belonged to dropped records went with them.
    stories = {row[0] for row in stored(store, "SELECT story FROM stories")}
    assert stories == {f"t:{bytes([trace] * 16).hex()}" for trace in traces}
    assert {row[0] for row in stored(store, "SELECT story FROM facts")} == stories
    store.close()


def test_large_records_go_one_by_one(tmp_path, otlp):
    store = Store(CollectorConfig(store=tmp_path / "s.sqlite3", max_store_bytes=4 * MEBIBYTE), Counters())
    for number in range(20):
        put(store, LOGS, otlp.logs({"body": f"{number}" + "x" * 400_000, "time": number + 1}))
    store.probe().result(30)
    kept = [row[0] for row in stored(store, "SELECT at FROM logs ORDER BY at")]
    assert kept == list(range(21 - len(kept), 21))
    assert len(kept) >= 7
    store.close()


def test_a_smaller_bound_takes_effect_at_the_next_start(tmp_path, otlp):
    path = tmp_path / "s.sqlite3"
    store = Store(CollectorConfig(store=path, max_store_bytes=32 * MEBIBYTE), Counters())
    for number in range(12):
        put(store, LOGS, otlp.logs(*[{"body": "x" * 1_000, "time": number * 1_000 + index} for index in range(1_000)]))
    store.close()
    assert path.stat().st_size > 8 * MEBIBYTE
    store = Store(CollectorConfig(store=path, max_store_bytes=4 * MEBIBYTE), Counters())
    store.close()
    assert path.stat().st_size <= 4 * MEBIBYTE


def test_age_counts_from_arrival(tmp_path, otlp):
    now = itertools.count(1_000 * DAY, 1).__next__
    clock = {"offset": 0}
    config = CollectorConfig(store=tmp_path / "s.sqlite3", max_age_seconds=2 * 86_400)
    counters = Counters()
    store = Store(config, counters, lambda: now() + clock["offset"])
    put(store, LOGS, otlp.logs({"body": "old", "attributes": {"request_id": "r-old"}}, {"body": "old too"}))
    clock["offset"] = DAY
    put(store, LOGS, otlp.logs({"body": "young", "time": 1, "attributes": {"request_id": "r-young"}}))
    clock["offset"] = 2 * DAY + 10**9
    store.probe().result(30)
    store.probe().result(30)  # the round of the first has dropped what is old
    assert stored(store, "SELECT body FROM logs") == [('"young"',)]
    assert stored(store, "SELECT story FROM stories") == [("r:r-young",)]
    assert counters.group("dropped_by_retention") == {"logs_by_age": 2}
    store.close()


def test_resources_go_with_their_last_record(tmp_path, otlp):
    offset = {"ns": 0}
    config = CollectorConfig(store=tmp_path / "s.sqlite3", max_age_seconds=3_600)
    store = Store(config, Counters(), lambda: 10 * DAY + offset["ns"])
    put(store, LOGS, otlp.logs({}, service="gone"))
    offset["ns"] = DAY
    put(store, LOGS, otlp.logs({}, service="here"))
    store.probe().result(30)
    assert stored(store, "SELECT service FROM resources") == [("here",)]
    store.close()
