"""Programs that are no servers: what they hand to other processes and threads is recorded as theirs."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.mark.parametrize("instrumentations", [(), ("threading",)], ids=["plain", "with threading instrumentation"])
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_work_in_another_process_belongs_to_who_submitted_it(
    make_service: Any, method: str, instrumentations: tuple[str, ...]
) -> None:
    mark = f"{method}-{len(instrumentations)}"
    script = make_service("python", "pool.py", method, mark, instrumentations=instrumentations)
    assert script.popen.wait(60) == 0, script.output

    seen = [line.rsplit(maxsplit=2)[0] for line in script.output.splitlines() if line.startswith(("alice", "bob"))]
    assert seen == ["alice step 0", "bob step 1"]
    assert "\nNone None" in script.output

    spans = {span["name"]: span for span in script.spans()}
    for number, user in enumerate(["alice", "bob"]):
        (log,) = [log for log in script.logs() if log["body"] == f"working on {number}"]
        submitted, worked = spans[f"submit {number}"], spans[f"work {number}"]
        assert (log["request_id"], log["user_id"]) == (f"{mark}-{user}", user)
        assert (worked["request_id"], worked["user_id"]) == (f"{mark}-{user}", user)
        assert worked["parent_span_id"] == submitted["span_id"]
        assert (log["trace_id"], log["span_id"]) == (worked["trace_id"], worked["span_id"])
    assert spans["work 2"]["user_id"] is None
    assert len(script.spans()) == 5


def test_records_that_another_thread_sends_keep_request_and_trace(make_service: Any) -> None:
    script = make_service("python", "queued.py")
    assert script.popen.wait(60) == 0, script.output
    logs = {log["body"]: log for log in script.logs()}
    (span,) = script.spans()
    assert (logs["from the request"]["user_id"], logs["from the request"]["trace_id"]) == ("alice", span["trace_id"])
    assert logs["from the request"]["span_id"] == span["span_id"]
    assert (logs["with no span"]["user_id"], logs["with no request"]["user_id"]) == ("bob", None)
    assert {name for log in logs.values() for name in log["attributes"]}.isdisjoint({"trace_id", "user_id"})
