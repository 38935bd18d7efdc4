"""Which records make one story."""

from __future__ import annotations

A, B, C = b"a" * 16, b"b" * 16, b"c" * 16


def names(story):
    return [span["name"] for span in story["spans"]] + [log["body"] for log in story["logs"]]


def test_a_story_spans_services_traces_and_records_without_the_id(collector, otlp):
    mine, other = {"request_id": "mine", "user.id": "alice"}, {"request_id": "other"}
    collector.post(
        "/v1/traces",
        otlp.trace(
            {"trace": A, "span": b"1" * 8, "name": "root", "start": 10, "end": 90, "attributes": mine},
            {"trace": A, "span": b"2" * 8, "parent": b"1" * 8, "name": "of another request", "attributes": other},
            {"trace": B, "span": b"3" * 8, "name": "background", "start": 50, "end": 95, "attributes": mine},
            {"trace": C, "span": b"4" * 8, "name": "unrelated", "start": 20},
        ),
    )
    plain = otlp.trace(
        {"trace": A, "span": b"5" * 8, "parent": b"1" * 8, "name": "plain", "start": 30, "end": 40}, service="billing"
    )
    collector.post("/v1/traces", plain)
    collector.post(
        "/v1/logs",
        otlp.logs(
            {"time": 60, "body": "outside of any trace", "attributes": mine},
            {"trace": B, "time": 70, "body": "plain log", "severity": 17},
            service="orders",
        ),
    )
    story = collector.get("/api/story", request_id="mine").json()
    assert names(story) == ["root", "plain", "background", "outside of any trace", "plain log"]
    assert story["services"] == ["gateway", "billing", "orders"]
    assert story["trace_ids"] == [A.hex(), B.hex()]
    assert (story["user_id"], story["error"]) == ("alice", True)
    assert (story["start_unix_nano"], story["end_unix_nano"]) == ("10", "95")
    for query in ({"trace_id": B.hex()}, {"user_id": "alice"}):
        assert collector.get("/api/story", **query).json() == story
    # A service is found too when only a record without the id names it, and its trace is no request of its own.
    # The record is part of both requests that share its trace.
    listed = collector.get("/api/requests", service="billing").json()["requests"]
    summary = next(summary for summary in listed if summary["request_id"] == "mine")
    assert (summary["name"], summary["spans"], summary["logs"]) == ("root", 3, 2)
    assert {summary["request_id"] for summary in listed} == {"mine", "other"}


def test_a_trace_that_no_request_names_is_a_story_with_null(collector, otlp):
    collector.post("/v1/traces", otlp.trace({"trace": A, "name": "plain", "start": 500, "end": 600}))
    collector.post("/v1/logs", otlp.logs({"trace": A, "time": 550, "body": "inside"}))
    story = collector.get("/api/story", trace_id=A.hex()).json()
    assert (story["request_id"], names(story)) == (None, ["plain", "inside"])
    assert [s["trace_ids"] for s in collector.get("/api/requests").json()["requests"]] == [[A.hex()]]
    assert collector.get("/api/story", last=1).json() == story
    # The newest request is preferred to newer traces without one.
    request = {"trace": B, "name": "request", "start": 100, "attributes": {"request_id": "r"}}
    collector.post("/v1/traces", otlp.trace(request))
    assert collector.get("/api/story", last=1).json()["request_id"] == "r"
    # Once a record says so, the trace belongs to its request.
    collector.post(
        "/v1/logs", otlp.logs({"trace": A, "time": 560, "body": "late", "attributes": {"request_id": "late"}})
    )
    assert names(collector.get("/api/story", last=1).json()) == ["plain", "inside", "late"]
    listed = [summary["request_id"] for summary in collector.get("/api/requests").json()["requests"]]
    assert listed == ["late", "r"]


def test_the_newest_of_a_users_requests_is_told(collector, otlp):
    for number in (1, 3, 2):
        fields = {"request_id": f"r{number}", "user.id": "alice"}
        span = {"trace": bytes([number]) * 16, "start": number * 100, "attributes": fields}
        collector.post("/v1/traces", otlp.trace(span))
    assert collector.get("/api/story", user_id="alice").json()["request_id"] == "r3"


def test_a_number_as_user_id_is_found_by_its_digits(collector, otlp):
    collector.post("/v1/logs", otlp.logs({"attributes": {"request_id": "r", "user.id": 42}}))
    story = collector.get("/api/story", user_id="42").json()
    assert (story["user_id"], story["logs"][0]["attributes"]["user.id"]) == ("42", 42)
    assert story["trace_ids"] == []


def test_an_orphan_names_the_summary(collector, otlp):
    span = {"parent": b"9" * 8, "name": "orphan", "attributes": {"request_id": "r"}}
    collector.post("/v1/traces", otlp.trace(span))
    assert collector.get("/api/requests").json()["requests"][0]["name"] == "orphan"
