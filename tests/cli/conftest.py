"""
The command line as a user runs it: a real process, and a real HTTP server that answers for the collector.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.bare_environment import bare_environment

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
REQUEST = "019aafc2-7c1a-7c4e-9f0e-3c9d5b2a7e10"


def span(span_id: str, parent: str | None, name: str) -> dict:
    return {
        "trace_id": TRACE,
        "span_id": span_id,
        "parent_span_id": parent,
        "name": name,
        "kind": "server" if parent is None else "internal",
        "service": "gateway",
        "start_unix_nano": "1795412964123000000",
        "end_unix_nano": "1795412964133000000",
        "status": {"code": "unset", "message": ""},
        "request_id": REQUEST,
        "user_id": "alice",
        "attributes": {"request_id": REQUEST, "user.id": "alice", "otelctx.request_id.origin": "generated"},
        "events": [],
        "links": [],
        "resource": {},
    }


def story(*spans: dict) -> dict:
    return {
        "request_id": REQUEST,
        "user_id": "alice",
        "trace_ids": [TRACE],
        "services": ["gateway"],
        "start_unix_nano": "1795412964123000000",
        "end_unix_nano": "1795412964133000000",
        "error": False,
        "spans": list(spans),
        "logs": [],
    }


SUMMARY = {
    "request_id": REQUEST,
    "user_id": "alice",
    "trace_ids": [TRACE],
    "services": ["gateway", "orders"],
    "name": "GET /orders",
    "start_unix_nano": "1795412964123000000",
    "end_unix_nano": "1795412964133000000",
    "spans": 9,
    "logs": 12,
    "error": True,
}


class Collector:
    """
    Answers as the local collector does, with what a test puts in.

    The last of several *stories* stays; each question for a story takes the next one.
    """

    def __init__(self) -> None:
        self.stories: list[tuple[int, object]] = []
        self.requests: list[dict] = [SUMMARY]
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.url = ""

    def answer(self, path: str, parameters: dict[str, str]) -> tuple[int, object]:
        self.asked.append((path, parameters))
        if path == "/api/requests":
            return 200, {"requests": self.requests}
        if path == "/api/story" and self.stories:
            return self.stories.pop(0) if len(self.stories) > 1 else self.stories[0]
        return 404, {"error": "nothing matches; send something first"}


@pytest.fixture
def collector() -> Iterator[Collector]:
    canned = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            status, body = canned.answer(
                parts.path, {name: values[0] for name, values in parse_qs(parts.query).items()}
            )
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        canned.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield canned
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def otelctx() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the command with no OpenTelemetry or collector setting but those of *environment*."""

    def call(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "otelctx.cli", *arguments],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env=clean_environment() | environment,
        )

    return call


def clean_environment() -> dict[str, str]:
    kept = bare_environment("COLUMNS")
    return kept | {"COLUMNS": "80", "TERMINAL_WIDTH": "80", "PYTHONUTF8": "1"}


@pytest.fixture
def make_story() -> Callable[..., dict]:
    return lambda *spans: story(*(spans or (span("a", None, "GET /orders"), span("b", "a", "load"))))


@pytest.fixture
def make_span() -> Callable[..., dict]:
    return span
