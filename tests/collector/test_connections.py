"""Clients that keep a connection waiting: each has a deadline, and together they lock nobody out. Real sockets."""

from __future__ import annotations

import socket
import time
from contextlib import ExitStack

import httpx
import pytest

from otelctx.collector.admission import MAX_REQUESTS
from otelctx.collector.connections import MAX_CONNECTIONS

QUICK = 0.3
GET = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
POST = b"POST /v1/logs HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: 9\r\n\r\n"


@pytest.fixture
def connect():
    """Connect to a port; the connections end with the test."""
    with ExitStack() as ended:

        def connect(port):
            connection = ended.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10))
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return connection

        yield connect


def is_closed(connection):
    """Wait for what comes: whether it is the end of the connection."""
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def answer(connection):
    """Read one answer with its body."""
    response = b""
    while b"\r\n\r\n" not in response:
        response += connection.recv(1)
    head = response.decode().lower()
    length = int(head.split("content-length: ")[1].split("\r\n")[0])
    while length:
        length -= len(connection.recv(length))
    return head


def until(ask, status):
    """Ask until the answer has *status*."""
    deadline = time.monotonic() + 10
    while (found := ask()).status_code != status:
        assert time.monotonic() < deadline, found.text
    return found


class TestDeadline:
    """A client that does not send what it owes loses its connection."""

    @pytest.mark.parametrize("sent", [b"", b"G", GET[:-2]], ids=["nothing", "one byte", "almost a head"])
    def test_no_whole_head(self, start, connect, sent):
        silent = connect(start(head_timeout_seconds=QUICK).collector.http_port)
        silent.sendall(sent)
        assert is_closed(silent)

    def test_a_byte_now_and_then_wins_no_time(self, start, connect):
        slow = connect(start(head_timeout_seconds=QUICK).collector.http_port)
        slow.settimeout(QUICK / 10)
        began = time.monotonic()
        while time.monotonic() - began < 10:
            try:
                slow.sendall(b"G")
                if is_closed(slow):
                    break
            except TimeoutError:
                continue
            except ConnectionError:
                break
        assert time.monotonic() - began < 5

    def test_part_of_a_second_head(self, start, connect):
        slow = connect(start(head_timeout_seconds=QUICK).collector.http_port)
        slow.sendall(GET)
        assert answer(slow).startswith("http/1.1 200 ")
        slow.sendall(b"G")
        assert is_closed(slow)

    def test_part_of_a_second_head_that_came_with_the_first(self, start, connect):
        slow = connect(start(head_timeout_seconds=QUICK).collector.http_port)
        slow.sendall(GET + b"G")
        assert answer(slow).startswith("http/1.1 200 ")
        assert is_closed(slow)

    def test_the_rest_of_a_refused_body(self, start, connect):
        slow = connect(start(body_timeout_seconds=QUICK).collector.http_port)
        slow.sendall(POST + b"1")
        assert answer(slow).startswith("http/1.1 415 ")
        assert is_closed(slow)


class TestPatience:
    """A client that sends what it owes keeps its connection."""

    def test_between_two_requests(self, start, connect):
        quiet = connect(start(head_timeout_seconds=QUICK).collector.http_port)
        for _ in range(3):
            quiet.sendall(GET)
            assert answer(quiet).startswith("http/1.1 200 ")
            time.sleep(2 * QUICK)

    def test_while_its_body_comes(self, start, connect):
        slow = connect(start(head_timeout_seconds=QUICK).collector.http_port)
        slow.sendall(POST.replace(b"text/plain", b"application/json").replace(b"9", b"2") + b"{")
        time.sleep(2 * QUICK)
        slow.sendall(b"}")
        assert answer(slow).startswith("http/1.1 200 ")

    def test_after_the_rest_of_a_refused_body(self, start, connect):
        late = connect(start(head_timeout_seconds=QUICK, body_timeout_seconds=2 * QUICK).collector.http_port)
        late.sendall(POST)
        assert answer(late).startswith("http/1.1 415 ")
        late.sendall(b"123456789")
        time.sleep(3 * QUICK)
        late.sendall(GET)
        assert answer(late).startswith("http/1.1 200 ")


class TestCrowd:
    """However many connect and send nothing, who asks is answered."""

    def test_silent_connections(self, spawn, connect, otlp):
        process = spawn("--store", ":memory:")
        kept = connect(process.ready["http_port"])
        kept.sendall(GET)
        assert answer(kept).startswith("http/1.1 200 ")
        silent = [connect(process.ready["http_port"]) for _ in range(MAX_CONNECTIONS + 8)]
        protobuf = {"content-type": "application/x-protobuf"}
        with httpx.Client(base_url=process.url) as client:
            assert client.get("/healthz").status_code == 200
            assert client.post("/v1/logs", content=otlp.logs({}), headers=protobuf).status_code == 200
        kept.sendall(GET)
        assert answer(kept).startswith("http/1.1 200 ")
        assert is_closed(silent[0])  # made room
        began = time.monotonic()
        assert all(is_closed(connection) for connection in silent)
        assert time.monotonic() - began < 8
        assert process.end() == (0, "")


def test_one_request_too_many_is_503_until_another_ends(spawn, connect):
    process = spawn("--store", ":memory:")
    begun = POST.replace(b"text/plain", b"application/json") + b"{"
    under_way = [connect(process.ready["http_port"]) for _ in range(MAX_REQUESTS)]
    for connection in under_way:
        connection.sendall(begun)
    with httpx.Client(base_url=process.url) as client:
        refused = until(lambda: client.get("/healthz"), 503)
        assert (refused.headers["retry-after"], list(refused.json())) == ("1", ["error"])
        under_way[0].sendall(b" " * 7 + b"}")
        assert answer(under_way[0]).startswith("http/1.1 200 ")
        assert until(lambda: client.get("/healthz"), 200).json() == {"status": "ok"}
        assert client.get("/api/stats").json()["refused"]["busy"] >= 1
    for connection in under_way:
        connection.close()
    _, errors = process.end()
    assert errors.count(f"Refused a request: {MAX_REQUESTS} others are under way") == 1
