"""The query interface: every route, every parameter, every error."""

from __future__ import annotations

import logging
import sqlite3
from contextlib import closing

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

ALICE = {"request_id": "r-a", "user.id": "alice"}
BOB = {"request_id": "r-b", "user.id": "bob"}
A, B = b"a" * 16, b"b" * 16
SECOND = 10**9


def points():
    request = ExportMetricsServiceRequest()
    resource = request.resource_metrics.add()
    resource.resource.attributes.add(key="service.name").value.string_value = "gateway"
    scope = resource.scope_metrics.add()
    gauge = scope.metrics.add(name="queue", unit="1").gauge.data_points
    gauge.add(time_unix_nano=10 * SECOND, as_int=2**60)
    gauge.add(time_unix_nano=20 * SECOND, as_double=0.5)
    histogram = scope.metrics.add(name="duration", unit="s").histogram.data_points
    histogram.add(time_unix_nano=15 * SECOND, count=3, sum=0.2, explicit_bounds=[0.1], bucket_counts=[1, 2])
    scope.metrics.add(name="old", unit="s").summary.data_points.add(time_unix_nano=SECOND, count=2, sum=5)
    return request.SerializeToString()


@pytest.fixture(scope="module")
def seeded(shared, otlp):
    shared.post("/v1/metrics", points())
    shared.post(
        "/v1/traces",
        otlp.trace(
            {"trace": A, "span": b"1" * 8, "name": "GET /a", "kind": 2, "start": 10 * SECOND, "attributes": ALICE},
            {
                "trace": A,
                "span": b"2" * 8,
                "parent": b"1" * 8,
                "name": "inner",
                "start": 11 * SECOND,
                "attributes": ALICE,
            },
            {"trace": B, "span": b"3" * 8, "name": "GET /b", "start": 20 * SECOND, "error": True, "attributes": BOB},
        ),
    )
    shared.post(
        "/v1/logs",
        otlp.logs(
            {"trace": A, "span": b"4" * 8, "time": 12 * SECOND, "body": "in orders", "attributes": ALICE},
            {"time": 0, "observed": 13 * SECOND, "body": "nobody's"},
            service="orders",
        ),
    )
    return shared


def names(seeded, **query):
    answer = seeded.get("/api/spans", **query)
    assert answer.status_code == 200, answer.text
    return [span["name"] for span in answer.json()["spans"]]


class TestSpans:
    """GET /api/spans."""

    @pytest.mark.parametrize(
        ("query", "expected"),
        [
            ({}, ["GET /a", "inner", "GET /b"]),
            ({"request_id": "r-a"}, ["GET /a", "inner"]),
            ({"user_id": "bob"}, ["GET /b"]),
            ({"trace_id": A.hex().upper()}, ["GET /a", "inner"]),
            ({"service": "gateway"}, ["GET /a", "inner", "GET /b"]),
            ({"service": "orders"}, []),
            ({"since": 11 * SECOND}, ["inner", "GET /b"]),
            ({"until": 11 * SECOND}, ["GET /a"]),
            ({"since": "1970-01-01T00:00:11Z", "until": "1970-01-01T01:00:20+01:00"}, ["inner"]),
            ({"since": "1970-01-01T00:00:20"}, ["GET /b"]),
            ({"since": "0001-01-01T00:00:00+14:00"}, ["GET /a", "inner", "GET /b"]),
            ({"until": "0001-01-01T00:00:00+14:00"}, []),
            ({"since": "9999-12-31T23:59:59.999999-14:00"}, []),
            ({"until": "9999-12-31T23:59:59.999999-14:00"}, ["GET /a", "inner", "GET /b"]),
            ({"since": "9" * 20}, []),
            ({"until": "9" * 20}, ["GET /a", "inner", "GET /b"]),
            ({"limit": 1}, ["GET /b"]),
            ({"limit": 1, "since": 0}, ["GET /a"]),
            ({"request_id": "r-a", "user_id": "bob"}, []),
        ],
    )
    def test_filters(self, seeded, query, expected):
        assert names(seeded, **query) == expected

    def test_an_offset_whose_plus_became_a_space(self, seeded):
        answer = seeded.client.get("/api/spans?since=1970-01-01T01:00:20+01:00")
        assert [span["name"] for span in answer.json()["spans"]] == ["GET /b"]

    def test_the_shape(self, seeded):
        (span,) = seeded.get("/api/spans", user_id="bob").json()["spans"]
        assert span == {
            "trace_id": B.hex(),
            "span_id": (b"3" * 8).hex(),
            "parent_span_id": None,
            "name": "GET /b",
            "kind": "internal",
            "service": "gateway",
            "scope": "tests",
            "start_unix_nano": str(20 * SECOND),
            "end_unix_nano": "2000",
            "status": {"code": "error", "message": ""},
            "request_id": "r-b",
            "user_id": "bob",
            "attributes": BOB,
            "events": [],
            "links": [],
            "resource": {"service.name": "gateway"},
        }


def test_logs(seeded):
    first, second = seeded.get("/api/logs").json()["logs"]
    assert first == {
        "time_unix_nano": str(12 * SECOND),
        "observed_time_unix_nano": str(12 * SECOND),
        "severity_number": 9,
        "severity_text": "INFO",
        "body": "in orders",
        "event_name": None,
        "service": "orders",
        "scope": "tests",
        "trace_id": A.hex(),
        "span_id": (b"4" * 8).hex(),
        "request_id": "r-a",
        "user_id": "alice",
        "attributes": ALICE,
        "resource": {"service.name": "orders"},
    }
    # Without a time of its own a record is found by when it was observed.
    assert (second["time_unix_nano"], second["trace_id"], second["request_id"]) == ("0", None, None)
    assert seeded.get("/api/logs", since=13 * SECOND).json()["logs"] == [second]


def test_metrics(seeded):
    assert [point["name"] for point in seeded.get("/api/metrics").json()["metrics"]] == [
        "old",
        "queue",
        "duration",
        "queue",
    ]
    integer, double = seeded.get("/api/metrics", name="queue", service="gateway").json()["metrics"]
    assert (integer["value"], double["value"], integer["type"], integer["count"]) == (2**60, 0.5, "gauge", None)
    assert seeded.get("/api/metrics", since=15 * SECOND, until=16 * SECOND).json()["metrics"] == [
        {
            "name": "duration",
            "unit": "s",
            "type": "histogram",
            "service": "gateway",
            "time_unix_nano": str(15 * SECOND),
            "attributes": {},
            "value": None,
            "count": "3",
            "sum": 0.2,
            "bounds": [0.1],
            "bucket_counts": ["1", "2"],
            "resource": {"service.name": "gateway"},
        }
    ]


def test_requests(seeded):
    newest, oldest = seeded.get("/api/requests").json()["requests"]
    assert (newest["request_id"], newest["error"], newest["spans"], newest["logs"]) == ("r-b", True, 1, 0)
    assert oldest == {
        "request_id": "r-a",
        "user_id": "alice",
        "trace_ids": [A.hex()],
        "services": ["gateway", "orders"],
        "name": "GET /a",
        "start_unix_nano": str(10 * SECOND),
        "end_unix_nano": str(12 * SECOND),
        "spans": 2,
        "logs": 1,
        "error": False,
    }
    for query in (
        {"request_id": "r-a"},
        {"user_id": "alice"},
        {"trace_id": A.hex()},
        {"service": "orders"},
        {"until": 20 * SECOND},
    ):
        assert seeded.get("/api/requests", **query).json() == {"requests": [oldest]}
    assert seeded.get("/api/requests", since=20 * SECOND).json() == {"requests": [newest]}
    assert seeded.get("/api/requests", limit=1).json() == {"requests": [newest]}
    assert seeded.get("/api/requests", request_id="r-a", service="billing").json() == {"requests": []}


def test_services_and_stats(seeded):
    assert seeded.get("/api/services").json() == {"services": ["gateway", "orders"]}
    assert seeded.stats()["accepted"] == {"metrics": 4, "traces": 3, "logs": 2}


@pytest.mark.parametrize(
    ("path", "query", "named"),
    [
        ("/api/spans", {"limit": 0}, "limit is '0'; give a number from 1 to 1000"),
        ("/api/spans", {"limit": 1001}, "limit is '1001'"),
        ("/api/spans", {"limit": "ten"}, "limit is 'ten'"),
        ("/api/logs", {"since": "yesterday"}, "since is 'yesterday'"),
        ("/api/logs", {"until": "-5"}, "until is '-5'"),
        ("/api/requests", {"trace_id": "xyz"}, "trace_id is 'xyz'; give 32 hex digits"),
        ("/api/requests", {"userid": "alice"}, "did you mean 'user_id'?"),
        ("/api/requests", {"user_id": ""}, "user_id is empty"),
        ("/api/metrics", {"request_id": "r"}, "'request_id' is not a parameter here"),
        ("/api/services", {"name": "x"}, "'name' is not a parameter here"),
        ("/api/stats", {"name": "x"}, "'name' is not a parameter here"),
        ("/api/story", {}, "0 parameters given; give exactly one"),
        ("/api/story", {"last": "1", "user_id": "alice"}, "2 parameters given"),
        ("/api/story", {"last": "yes"}, "last is 'yes'; write last=1"),
        ("/api/story", {"service": "orders"}, "'service' is not a parameter here"),
        ("/api/spans", {"user_id": "x" * 50, "z" * 5_000: "1"}, "is not a parameter here"),
    ],
)
def test_a_wrong_parameter_is_400_and_named(seeded, path, query, named):
    answer = seeded.get(path, **query)
    assert answer.status_code == 400
    assert named in answer.json()["error"]
    assert len(answer.json()["error"]) < 300


@pytest.mark.parametrize("query", [{"request_id": "none"}, {"user_id": "none"}, {"trace_id": "0" * 31 + "1"}])
def test_a_story_that_is_not_there_is_404(seeded, query):
    answer = seeded.get("/api/story", **query)
    assert (answer.status_code, list(answer.json())) == (404, ["error"])


def test_a_query_that_fails_by_a_bug_is_500_and_keeps_the_connection(start, otlp, tmp_path, caplog):
    path = tmp_path / "collector.sqlite3"
    collector = start(store=path)
    collector.post("/v1/logs", otlp.logs({}))
    with closing(sqlite3.connect(path)) as store, store:
        store.execute("UPDATE logs SET attributes = '{secret'")
    with caplog.at_level(logging.WARNING, "otelctx.collector"):
        for _ in range(3):
            answer = collector.get("/api/logs")
            assert (answer.status_code, set(answer.json())) == (500, {"error"})
            assert "connection" not in answer.headers
    assert len(caplog.records) == 1
    assert "please report this JSONDecodeError" in caplog.text
    assert "log_json" in caplog.text
    assert "secret" not in caplog.text
    assert collector.stats()["store"]["query_bugs"] == 3
