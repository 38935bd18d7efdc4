"""The README is true: its example runs as it stands, with its commands, and everything that it points to is there."""

import json
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from otelctx.core import registry
from otelctx.demo.readiness import wait_until
from otelctx.setup import config
from tests.bare_environment import bare_environment

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")
DOCUMENTS = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "collector-config/README.md")),
    *sorted((ROOT / "docs").glob("*.md")),
]


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.DOTALL | re.MULTILINE)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class Running:
    """Commands of this environment in a folder of their own, ended together."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = bare_environment()
        self._processes: list[subprocess.Popen[str]] = []

    def run(self, *words: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "otelctx.cli", *words],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def start(self, *words: str) -> Path:
        log = self.folder / f"{words[0]}.log"
        with log.open("w") as output:
            self._processes.append(
                subprocess.Popen(
                    [sys.executable, "-m", "otelctx.cli", *words],
                    cwd=self.folder,
                    env=self.environment,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    text=True,
                )
            )
        return log

    def check(self) -> None:
        ended = [process.args for process in self._processes if process.poll() is not None]
        assert not ended, f"{ended} ended: {[log.read_text() for log in self.folder.glob('*.log')]}"

    def end(self) -> None:
        for process in reversed(self._processes):
            process.send_signal(signal.SIGTERM)
            process.wait(30)


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    commands = Running(tmp_path)
    yield commands
    commands.end()


def until(running: Running, done) -> None:
    assert wait_until(done, check=running.check, deadline=time.monotonic() + 30)


def answers(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


class TestTheExample:
    def test_it_does_what_its_comments_say(self, running: Running) -> None:
        (application,) = blocks("python")
        (running.folder / "app.py").write_text(application)
        ready, port = running.folder / "ready.json", free_port()
        running.start("collector", "--http-port=0", "--grpc-port=0", "--store=:memory:", f"--ready-file={ready}")
        until(running, ready.exists)
        collector = f"http://127.0.0.1:{json.loads(ready.read_text())['http_port']}"
        running.environment |= {"OTEL_EXPORTER_OTLP_ENDPOINT": collector, "OTELCTX_COLLECTOR": collector}
        output = running.start("run", "uvicorn", "app:app", f"--port={port}")
        until(running, lambda: answers(f"http://127.0.0.1:{port}/"))

        answer = httpx.get(f"http://127.0.0.1:{port}/", trust_env=False)

        request_id = answer.headers["x-request-id"]
        until(running, lambda: f"INFO [{request_id} alice] hello" in output.read_text())
        story = running.run("story", "--request-id", request_id, "--wait=20")
        assert request_id in story
        assert "hello" in story
        assert "set by" in story
        assert running.run("story", "--last")

    def test_its_field_is_declared_as_it_says(self, tmp_path: Path) -> None:
        (table,) = blocks("toml")
        (tmp_path / "otelctx.toml").write_text(table)
        config.apply(config.load({}, tmp_path))
        tenant = registry.registry().by_name["tenant"]
        assert (tenant.remote, tenant.header, tenant.attribute_name) == (True, "x-tenant", "tenant.id")
        assert tenant.accept("acme-1") == "acme-1"
        assert tenant.accept("ACME!") is None


class TestTheDocuments:
    @pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: str(document.relative_to(ROOT)))
    def test_what_they_point_to_is_there(self, document: Path) -> None:
        targets = re.findall(r"\]\((?!https?:|#)([^)#]+)", document.read_text("utf-8"))
        assert [target for target in targets if not (document.parent / target).exists()] == []

    def test_the_picture_is_of_a_real_story(self) -> None:
        picture = (ROOT / "docs" / "story.svg").read_text("utf-8")
        assert all(service in picture for service in ("gateway", "orders", "inventory", "alice"))

    def test_make_help_lists_what_the_readme_names(self) -> None:
        listed = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
        for target in re.findall(r"^make (\w+)", README, re.MULTILINE):
            assert f"make {target}" in listed
