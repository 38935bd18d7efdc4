"""Forwarding to a second collector, also through an outage."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from otelctx.errors import CollectorError


def eventually(read, expected):
    deadline = time.monotonic() + 20
    while (value := read()) != expected:
        assert time.monotonic() < deadline, value


def bodies(running):
    return [log["body"] for log in running.get("/api/logs").json()["logs"]]


def test_everything_arrives_in_both_encodings(start, otlp):
    second = start()
    first = start(forward_url=f"{second.url}/")
    first.post("/v1/logs", otlp.logs({"body": "protobuf"}))
    record = {"timeUnixNano": "2000", "body": {"stringValue": "json"}, "traceId": "ab" * 16}
    tree = {"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]}
    first.post("/v1/logs", json.dumps(tree), content_type="application/json")
    first.post("/v1/traces", otlp.trace({"name": "span"}))
    eventually(lambda: first.stats()["forward"].get("sent"), 3)
    assert bodies(second) == ["protobuf", "json"]
    assert second.get("/api/logs").json()["logs"][1]["trace_id"] == "ab" * 16


def test_an_outage_delays_and_loses_nothing(start, otlp):
    second = start()
    port = second.collector.http_port
    second.stop()
    first = start(forward_url=f"http://127.0.0.1:{port}")
    for number in range(5):
        assert first.post("/v1/logs", otlp.logs({"body": str(number), "time": number + 1})).status_code == 200
    while not first.stats()["forward"].get("retries"):
        pass
    again = start(http_port=port)
    eventually(lambda: bodies(again), ["0", "1", "2", "3", "4"])


def test_a_full_queue_drops_and_counts_and_the_intake_goes_on(start, otlp):
    first = start(forward_url="http://127.0.0.1:9", max_forward_bytes=1_000, shutdown_seconds=1)
    for number in range(10):
        assert first.post("/v1/logs", otlp.logs({"body": "x" * 200, "time": number + 1})).status_code == 200
    assert first.stats()["forward"]["dropped_queue_full"] == 7
    assert len(bodies(first)) == 10
    began = time.monotonic()
    first.stop()
    assert time.monotonic() - began < 5
    assert first.collector.counters.group("forward")["dropped_at_shutdown"] == 3


class Endpoint(BaseHTTPRequestHandler):
    """Answers with the next status of the server's list, then with 200; keeps the headers it saw."""

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.server.seen.append(dict(self.headers))
        self.send_response(self.server.statuses.pop(0) if self.server.statuses else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *arguments):
        pass


@pytest.fixture
def endpoint():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
    server.seen, server.statuses = [], []
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_retryable_statuses_are_tried_again_and_others_dropped(start, otlp, endpoint):
    endpoint.statuses = [503, 429, 200, 400]
    url = f"http://127.0.0.1:{endpoint.server_port}"
    first = start(forward_url=url, forward_headers={"x-api-key": "secret"})
    for number in range(3):
        first.post("/v1/logs", otlp.logs({"time": number + 1}))
    eventually(lambda: first.stats()["forward"], {"retries": 2, "sent": 2, "dropped_refused": 1})
    assert {headers["x-api-key"] for headers in endpoint.seen} == {"secret"}
    assert {headers["Content-Encoding"] for headers in endpoint.seen} == {"gzip"}
    assert "secret" not in repr(first.collector.config)
    first.stop()


def test_what_waits_is_sent_before_the_end(start, otlp, endpoint):
    endpoint.statuses = [503]
    first = start(forward_url=f"http://127.0.0.1:{endpoint.server_port}")
    for number in range(3):
        first.post("/v1/logs", otlp.logs({"time": number + 1}))
    first.stop()
    assert first.collector.counters.group("forward")["sent"] == 3


def test_forwarding_to_itself_is_an_error(start, unused_tcp_port):
    with pytest.raises(CollectorError, match="which is this collector itself"):
        start(http_port=unused_tcp_port, forward_url=f"http://localhost:{unused_tcp_port}")


@pytest.mark.parametrize("headers", [{"": "v"}, {"a b": "v"}, {"key": "line\r\nother: 1"}, {"key": "ключ"}])
def test_headers_that_cannot_be_are_an_error(start, headers):
    with pytest.raises(CollectorError, match="characters that headers cannot have"):
        start(forward_url="http://127.0.0.1:9", forward_headers=headers)


@pytest.mark.parametrize("url", ["localhost:4318", "ftp://x", "http://", "http://x:99999", "http://[x", "http://x\n/"])
def test_an_address_that_is_none_is_an_error(start, url):
    with pytest.raises(CollectorError, match="give an OTLP/HTTP base address"):
        start(forward_url=url)
