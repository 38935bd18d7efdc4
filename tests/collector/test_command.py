"""The command as a user runs it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import opentelemetry.instrumentation.auto_instrumentation as agent
import pytest

COMMAND = [sys.executable, "-m", "otelctx.collector"]


def run(*arguments, **env):
    return subprocess.run(
        [*COMMAND, *arguments], capture_output=True, text=True, timeout=30, check=False, env={**os.environ, **env}
    )


def test_the_ready_file_is_there_when_both_listen_and_gone_afterwards(spawn, tmp_path):
    path = tmp_path / "ready.json"
    process = spawn("--store", ":memory:", "--ready-file", str(path))
    ready = json.loads(path.read_text())
    assert ready == process.ready
    assert ready["pid"] == process.process.pid
    for port in (ready["http_port"], ready["grpc_port"]):
        socket.create_connection(("127.0.0.1", port)).close()
    assert httpx.get(f"{process.url}/healthz").json() == {"status": "ok"}
    assert process.end(signal.SIGINT) == (0, "")
    assert list(tmp_path.iterdir()) == []


def test_the_default_store_is_under_the_state_directory(spawn, tmp_path):
    process = spawn(env={"XDG_STATE_HOME": str(tmp_path)})
    assert (tmp_path / "otelctx" / "collector.sqlite3").exists()
    assert process.end() == (0, "")


@pytest.mark.parametrize("option", ["--http-port", "--grpc-port"])
def test_a_port_in_use(option, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ports = {"--http-port": "0", "--grpc-port": "0", option: str(port)}
        result = run(*(part for pair in ports.items() for part in pair), "--store", str(tmp_path / "s.sqlite3"))
    assert result.returncode == 1
    assert f"Port {port} is in use; is another collector running? Use that one, or {option} 0" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--host", "203.0.113.1"], "Cannot listen on 203.0.113.1"),
        (["--forward", "nonsense"], "Cannot forward to 'nonsense'"),
        (["--forward-header", "secret"], "has no KEY=VALUE form"),
        (["--http-port", "5", "--grpc-port", "5"], "are both 5"),
    ],
)
def test_what_cannot_work_is_one_message_and_status_1(arguments, message):
    result = run("--store", ":memory:", *arguments)
    assert (result.returncode, result.stdout) == (1, "")
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


def test_the_help_teaches():
    result = run("--help", COLUMNS="100", TERM="dumb")
    assert result.returncode == 0
    for words in ("127.0.0.1:4318", "development tool", "OpenTelemetry Collector takes its place", "--forward"):
        assert words in " ".join(result.stdout.split())


def test_it_does_not_trace_itself(spawn, otlp):
    """Started by the auto-instrumentation agent it starts anew without it, as the same process."""
    directory = str(Path(agent.__file__).parent)
    environment = {
        "PYTHONPATH": os.pathsep.join([directory, os.environ.get("PYTHONPATH", "")]),
        "OTEL_TRACES_EXPORTER": "console",
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "none",
        "OTEL_PYTHON_DISTRO": "distro",
        "OTEL_PYTHON_CONFIGURATOR": "configurator",
    }
    process = spawn("--store", ":memory:", env=environment)
    assert process.ready["pid"] == process.process.pid
    headers = {"content-type": "application/x-protobuf"}
    assert httpx.post(f"{process.url}/v1/traces", content=otlp.trace({}), headers=headers).status_code == 200
    variables = Path(f"/proc/{process.process.pid}/environ").read_bytes()
    assert b"OTEL_SDK_DISABLED=true" in variables
    assert directory.encode() not in variables
    assert len(httpx.get(f"{process.url}/api/spans").json()["spans"]) == 1
    process.process.terminate()
    output, _ = process.process.communicate(timeout=30)
    assert output == ""
