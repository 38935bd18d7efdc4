"""OTLP over HTTP: what is taken, in which forms, and the status of everything that is not."""

from __future__ import annotations

import gzip
import json
import logging
import socket
import zlib

import pytest
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

JSON = "application/json"
SPAN = {"traceId": "5B8EFFF798038103D269B633813FC60C", "spanId": "EEE19B7EC3C1B174", "name": "from JSON"}


def json_trace(span):
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}).encode()


class TestAccepting:
    """A request that is answered 200 can be read back."""

    @pytest.mark.parametrize(
        ("encoding", "compress"),
        [("gzip", gzip.compress), ("deflate", zlib.compress), ("identity", bytes), ("GZIP", gzip.compress)],
    )
    def test_every_content_encoding(self, collector, otlp, encoding, compress):
        answer = collector.post("/v1/traces", compress(otlp.trace({"name": "packed"})), content_encoding=encoding)
        assert (answer.status_code, answer.content) == (200, b"")
        assert answer.headers["content-type"] == "application/x-protobuf"
        assert [span["name"] for span in collector.get("/api/spans").json()["spans"]] == ["packed"]

    def test_json_ids_are_hex_and_integers_come_in_both_forms(self, collector):
        span = {**SPAN, "kind": 2, "startTimeUnixNano": "18", "endTimeUnixNano": 20, "status": {"code": 2}}
        span["attributes"] = [{"key": "n", "value": {"intValue": "7"}}, {"key": "m", "value": {"intValue": 8}}]
        answer = collector.post("/v1/traces", json_trace(span), content_type=f"{JSON}; charset=utf-8")
        assert (answer.status_code, answer.json()) == (200, {})
        assert answer.headers["content-type"] == JSON
        stored = collector.get("/api/spans").json()["spans"][0]
        assert stored["trace_id"] == SPAN["traceId"].lower()
        assert stored["attributes"] == {"n": 7, "m": 8}
        assert (stored["kind"], stored["status"]["code"]) == ("server", "error")
        assert (stored["start_unix_nano"], stored["end_unix_nano"]) == ("18", "20")

    def test_user_keys_that_look_like_ids_stay_as_they_are(self, collector):
        fields = {"kvlistValue": {"values": [{"key": "traceId", "value": {"stringValue": "mine"}}]}}
        span = {**SPAN, "attributes": [{"key": "spanId", "value": fields}]}
        assert collector.post("/v1/traces", json_trace(span), content_type=JSON).status_code == 200
        assert collector.get("/api/spans").json()["spans"][0]["attributes"] == {"spanId": {"traceId": "mine"}}

    def test_unknown_fields_are_ignored_in_both_encodings(self, collector, otlp):
        unknown = b"\xfa\x3f\x03new"  # field 1023, length-delimited
        assert collector.post("/v1/traces", otlp.trace({"name": "old"}) + unknown).status_code == 200
        span = {**SPAN, "addedInTheFuture": {"deep": [1, None]}}
        assert collector.post("/v1/traces", json_trace(span), content_type=JSON).status_code == 200
        assert len(collector.get("/api/spans").json()["spans"]) == 2

    def test_a_span_without_ids_is_rejected_alone(self, collector, otlp):
        answer = collector.post("/v1/traces", otlp.trace({"trace": b"short"}, {"name": "good"}))
        message = ExportTraceServiceResponse.FromString(answer.content)
        assert (answer.status_code, message.partial_success.rejected_spans) == (200, 1)
        assert "16 bytes" in message.partial_success.error_message
        assert [span["name"] for span in collector.get("/api/spans").json()["spans"]] == ["good"]

    def test_the_same_bytes_again_are_stored_once(self, collector, otlp):
        body = otlp.logs({"body": "once"})
        assert [collector.post("/v1/logs", body).status_code for _ in range(2)] == [200, 200]
        assert len(collector.get("/api/logs").json()["logs"]) == 1
        assert collector.stats()["duplicates"] == {"logs": 1}

    def test_an_empty_request_is_fine(self, collector):
        assert [collector.post(f"/v1/{name}", b"").status_code for name in ("traces", "logs", "metrics")] == [200] * 3


BAD = [
    pytest.param(b"\xff\xff", {}, 400, "malformed", id="broken protobuf"),
    pytest.param(b"{", {"content_type": JSON}, 400, "malformed", id="broken JSON"),
    pytest.param(b"[]", {"content_type": JSON}, 400, "malformed", id="JSON of another shape"),
    pytest.param(b'{"resourceSpans":[null]}', {"content_type": JSON}, 400, "malformed", id="JSON null in a list"),
    pytest.param(json_trace({"traceId": "xyz"}), {"content_type": JSON}, 400, "malformed", id="id that is not hex"),
    pytest.param(b'{"a":' * 50_000, {"content_type": JSON}, 400, "malformed", id="deeply nested JSON"),
    pytest.param(b"not gzip", {"content_encoding": "gzip"}, 400, "bad_content_encoding", id="broken gzip"),
    pytest.param(gzip.compress(b"x")[:-3], {"content_encoding": "gzip"}, 400, "bad_content_encoding", id="cut gzip"),
    pytest.param(
        gzip.compress(b"") * 9_000, {"content_encoding": "gzip"}, 400, "bad_content_encoding", id="gzip members"
    ),
    pytest.param(b"x", {"content_type": "text/plain"}, 415, "unsupported_content_type", id="wrong type"),
    pytest.param(b"x", {"content_encoding": "zstd"}, 415, "unsupported_content_encoding", id="unknown encoding"),
    pytest.param(bytes(1_000_001), {}, 413, "too_large", id="oversized"),
    pytest.param(gzip.compress(bytes(9_000_000)), {"content_encoding": "gzip"}, 413, "too_large", id="gzip bomb"),
]


class TestRefusing:
    """Bad input gets its status, is counted, and leaves nothing behind."""

    @pytest.mark.parametrize(("body", "headers", "status", "counter"), BAD)
    def test_bad_input(self, shared, body, headers, status, counter):
        before = shared.stats()["refused"].get(counter, 0)
        answer = shared.post("/v1/traces", body, **headers)
        assert answer.status_code == status
        message = (
            Status.FromString(answer.content).message
            if answer.headers["content-type"] == "application/x-protobuf"
            else answer.json()["message"]
        )
        assert "; " in message  # what happened; what to do
        stats = shared.stats()
        assert (stats["refused"][counter], stats["bytes_in_flight"]) == (before + 1, 0)
        assert shared.get("/healthz").status_code == 200
        assert shared.get("/api/spans").json() == {"spans": []}

    def test_a_chunked_body_is_bounded_too(self, start):
        collector = start(max_body_bytes=100_000)
        answer = collector.post("/v1/traces", (bytes(50_000) for _ in range(20)))
        assert answer.status_code == 413

    def test_many_tiny_messages(self, start):
        collector = start()
        assert collector.post("/v1/traces", b"\x0a\x00" * 1_000_100).status_code == 413
        body = b'{"x":[' + b"{}," * 1_500_100 + b"1]}"
        assert collector.post("/v1/traces", body, content_type=JSON).status_code == 413

    def test_a_full_budget_is_503_with_retry_after(self, start, otlp):
        collector = start(max_body_bytes=1_000_000, max_inflight_bytes=1_000_000)
        address = ("127.0.0.1", collector.collector.http_port)
        head = "POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-protobuf\r\n"
        with socket.create_connection(address) as slow:
            slow.sendall(f"{head}Content-Length: 999999\r\n\r\n".encode() + bytes(999_990))
            while collector.stats()["bytes_in_flight"] < 999_000:
                pass
            answer = collector.post("/v1/logs", otlp.logs(*[{}] * 100))
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
            assert Status.FromString(answer.content).code == 14
        while collector.stats()["bytes_in_flight"]:
            pass
        assert collector.post("/v1/logs", otlp.logs({})).status_code == 200

    def test_a_body_that_never_ends_is_408(self, start):
        collector = start(body_timeout_seconds=0.1)
        head = (
            "POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n"
        )
        with socket.create_connection(("127.0.0.1", collector.collector.http_port)) as slow:
            slow.sendall(head.encode() + b"{")
            assert slow.recv(1_000).startswith(b"HTTP/1.1 408 ")

    def test_a_batch_that_the_store_cannot_hold_is_503(self, start, otlp):
        collector = start(max_store_bytes=4 * 2**20)
        body = otlp.logs({"body": "x" * 6_000_000})
        answer = collector.post("/v1/logs", body)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert collector.post("/v1/logs", otlp.logs({"body": "small"})).status_code == 200
        assert [log["body"] for log in collector.get("/api/logs").json()["logs"]] == ["small"]

    @pytest.mark.parametrize(("method", "path", "status"), [("GET", "/v1/traces", 405), ("POST", "/v1/profiles", 404)])
    def test_wrong_method_and_path(self, shared, method, path, status):
        answer = shared.client.request(method, path)
        assert (answer.status_code, set(answer.json())) == (status, {"error"})

    def test_logging_is_rationed_and_never_quotes_the_body(self, collector, caplog):
        with caplog.at_level(logging.WARNING, "otelctx.collector"):
            for _ in range(20):
                collector.post("/v1/traces", b'{"secret', content_type=JSON)
        assert len(caplog.records) == 1
        assert "secret" not in caplog.text
        assert collector.stats()["refused"] == {"malformed": 20}
