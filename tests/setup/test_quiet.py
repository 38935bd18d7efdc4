"""What is said when no collector answers: one line that helps, and nothing less when the trouble is another."""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter

from otelctx.setup import quiet
from tests.bare_environment import bare_environment

SCRIPT = """
from otelctx.setup import quiet; quiet.install()
import logging
logging.basicConfig(level=logging.INFO)
logging.getLogger("shop").info("hello")
"""
ADVICE = "; start one with 'otelctx collector', or set OTEL_EXPORTER_OTLP_ENDPOINT."
REMEDY = f"{ADVICE} What could not be delivered is dropped."
HTTP = "opentelemetry.exporter.otlp.proto.http.trace_exporter"
QUEUE = "opentelemetry.sdk._shared_internal"
TIMEOUT = 1.4  # seconds: enough for the first pause, of 0.8 to 1.2, and not for the second
Export = Callable[[SpanExporter], list[str]]


@pytest.fixture(autouse=True)
def _installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in [name for name in os.environ if name.lower().endswith("_proxy") or name not in bare_environment()]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(quiet, "_FILTER", quiet.OneLine())
    quiet.install()
    yield
    quiet.uninstall()


@pytest.fixture
def closed() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.fixture
def answering() -> Iterator[Callable[[int], int]]:
    """Start a server that answers everything with one status, and return its port."""
    servers: list[ThreadingHTTPServer] = []

    def start(status: int) -> int:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name
                pass

        servers.append(ThreadingHTTPServer(("127.0.0.1", 0), Handler))
        threading.Thread(target=servers[-1].serve_forever, kwargs={"poll_interval": 0.01}).start()
        return servers[-1].server_port

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def export(caplog: pytest.LogCaptureFixture) -> Export:
    """Export a span, and return what that logged."""

    def call(exporter: SpanExporter) -> list[str]:
        caplog.clear()
        exporter.export([TracerProvider(shutdown_on_exit=False).get_tracer("tests").start_span("x")])  # type: ignore[list-item]
        exporter.shutdown()
        return caplog.messages

    return call


class TestInAProgram:
    @pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
    @pytest.mark.parametrize("spool", ["true", "false"])
    def test_a_script_without_a_collector_prints_one_line_more(
        self, tmp_path: Path, closed: int, protocol: str, spool: str
    ) -> None:
        (tmp_path / "script.py").write_text(SCRIPT)
        address = f"http://localhost:{closed}"
        done = subprocess.run(
            [sys.executable, "-m", "otelctx.cli", "run", "script.py"],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            cwd=tmp_path,
            env={**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": address, "OTEL_EXPORTER_OTLP_PROTOCOL": protocol}
            | {"OTEL_EXPORTER_OTLP_TIMEOUT": "2", "OTELCTX_SPOOL": spool},
        )
        hello, other = done.stderr.splitlines()
        assert hello == "INFO:shop:hello"
        if spool == "true":
            assert f":No collector answers at {address}{ADVICE} What cannot be delivered waits in " in other
        else:
            shown = address if protocol != "grpc" else address.removeprefix("http://")
            assert other.endswith(f":No collector answers at {shown}{REMEDY}")


class TestARefusedConnection:
    def test_is_one_line_over_http(self, export: Export, closed: int) -> None:
        said = export(HttpExporter(f"http://127.0.0.1:{closed}/v1/traces", timeout=TIMEOUT))
        assert said == [f"No collector answers at http://127.0.0.1:{closed}{REMEDY}"]

    def test_is_one_line_over_grpc(self, export: Export, closed: int) -> None:
        said = export(GrpcExporter(f"127.0.0.1:{closed}", insecure=True, timeout=TIMEOUT))
        assert said == [f"No collector answers at 127.0.0.1:{closed}{REMEDY}"]

    def test_shows_no_password_of_the_endpoint(self, export: Export, closed: int) -> None:
        (said,) = export(HttpExporter(f"http://me:s3cret@127.0.0.1:{closed}/v1/traces", timeout=TIMEOUT))
        assert said == f"No collector answers at http://127.0.0.1:{closed}{REMEDY}"

    def test_elsewhere_is_not_helped_by_a_collector_here(self) -> None:
        record = refused("http://collector.example:4318/v1/traces")
        assert quiet.OneLine().filter(record)
        assert record.getMessage() == (
            "No collector answers at http://collector.example:4318; check OTEL_EXPORTER_OTLP_ENDPOINT. "
            "What could not be delivered is dropped."
        )

    def test_is_said_once_a_minute_for_each_endpoint(self, monkeypatch: pytest.MonkeyPatch) -> None:
        now = 1000.0
        monkeypatch.setattr("time.monotonic", lambda: now)
        one_line = quiet.OneLine()
        said = [one_line.filter(refused(f"http://{host}:4318/")) for host in ("a", "b", "a", "b")]
        now += 60
        assert [*said, one_line.filter(refused("http://a:4318/"))] == [True, True, False, False, True]


class TestEverythingElseIsSaidAsItIs:
    @pytest.mark.parametrize("status", [400, 401, 404])
    def test_an_answer_that_refuses_the_data(
        self, export: Export, answering: Callable[[int], int], status: int
    ) -> None:
        (said,) = export(HttpExporter(f"http://127.0.0.1:{answering(status)}/v1/traces", timeout=TIMEOUT))
        assert f"code: {status}" in said

    def test_an_answer_that_asks_for_patience(self, export: Export, answering: Callable[[int], int]) -> None:
        first, last = export(HttpExporter(f"http://127.0.0.1:{answering(503)}/v1/traces", timeout=TIMEOUT))
        assert first.startswith("Transient error Service Unavailable")
        assert last == "Failed to export spans batch due to timeout, max retries or shutdown."

    def test_tls_that_the_other_side_does_not_speak(self, export: Export, answering: Callable[[int], int]) -> None:
        said = export(HttpExporter(f"https://127.0.0.1:{answering(200)}/v1/traces", timeout=TIMEOUT))
        assert "SSL" in said[0]
        assert len(said) == 2

    def test_a_proxy_that_refuses_the_connection(
        self, export: Export, closed: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{closed}")
        said = export(HttpExporter("http://collector.invalid:4318/v1/traces", timeout=TIMEOUT))
        assert "proxy" in said[0]
        assert len(said) == 2

    def test_what_answers_but_speaks_no_grpc(self, export: Export, answering: Callable[[int], int]) -> None:
        said = export(GrpcExporter(f"127.0.0.1:{answering(200)}", insecure=True, timeout=TIMEOUT))
        assert said
        assert not any("No collector" in message for message in said)

    def test_another_failure_after_a_refused_attempt_and_that_it_was_the_last(self) -> None:
        one_line = quiet.OneLine()
        one_line.filter(refused("http://a:4318/"))
        for error in ("Service Unavailable", OSError("certificate verify failed")):
            assert one_line.filter(record(RETRYING, error, "spans", 1.0))
            assert one_line.filter(record(GAVE_UP, "spans"))

    def test_the_end_of_another_export(self) -> None:
        one_line = quiet.OneLine()
        one_line.filter(refused("http://a:4318/"))
        assert one_line.filter(record(GAVE_UP, "logs", logger="opentelemetry.exporter.otlp.proto.http._log_exporter"))
        assert not one_line.filter(record(GAVE_UP, "spans"))
        assert one_line.filter(record(GAVE_UP, "spans"))

    @pytest.mark.parametrize("arguments", [(), ("spans",), ({"a": 1},)])
    def test_a_message_that_is_not_known(self, arguments: tuple[object, ...]) -> None:
        assert quiet.OneLine().filter(record("Connection refused, says a new version", *arguments))


class TestTheQueueAfterItsEnd:
    def test_is_silent_only_when_a_connection_was_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        now = 1000.0
        monkeypatch.setattr("time.monotonic", lambda: now)
        one_line = quiet.OneLine()
        too_late = record("Shutdown called, ignoring %s.", "Log", logger=QUEUE)
        said = [one_line.filter(too_late)]
        one_line.filter(refused("http://a:4318/"))
        said.append(one_line.filter(too_late))
        said.append(one_line.filter(record("Queue full, dropping %s.", "Log", logger=QUEUE)))
        now += 60
        assert [*said, one_line.filter(too_late)] == [True, False, True, True]


class TestInstall:
    def test_twice_is_once_and_uninstalling_leaves_the_filters_that_were(self) -> None:
        logger = logging.getLogger(QUEUE)
        quiet.install()
        during = [*logger.filters]
        quiet.uninstall()
        assert during == [quiet._FILTER, *logger.filters]


RETRYING = "Transient error %s encountered while exporting %s batch, retrying in %.2fs."
GAVE_UP = "Failed to export %s batch due to timeout, max retries or shutdown."


def record(message: str, *arguments: object, logger: str = HTTP) -> logging.LogRecord:
    return logging.LogRecord(logger, logging.WARNING, "f.py", 1, message, arguments, None)


def refused(url: str) -> logging.LogRecord:
    import requests

    error = requests.ConnectionError("no", request=requests.Request("POST", url).prepare())
    error.__cause__ = ConnectionRefusedError(111, "Connection refused")
    return record(RETRYING, error, "spans", 1.0)
