"""`otelctx demo` as a user runs it: what it prints, how it ends, and that nothing stays behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from otelctx.demo.processes import ProcessGroup
from otelctx.demo.readiness import wait_until

if TYPE_CHECKING:
    from tests.demo.conftest import Leftovers

COMMAND = [sys.executable, "-m", "otelctx.cli", "demo"]
KEPT = "Ctrl-C ends it."
INTERRUPTED = "demo: interrupted, everything is stopped"


@dataclass(frozen=True)
class Run:
    """A demo under way; it makes its temporary files in *directory*/tmp."""

    popen: subprocess.Popen[bytes]
    directory: Path

    @property
    def output(self) -> str:
        return (self.directory / "out").read_text("utf-8")

    @property
    def errors(self) -> str:
        return (self.directory / "err").read_text("utf-8")

    def wait_for(self, text: str) -> None:
        def has_come() -> bool:
            assert self.popen.poll() is None, self.errors
            return text in self.output + self.errors

        assert wait_until(has_come, check=lambda: None, deadline=time.monotonic() + 60), self.errors

    def end(self) -> int:
        return self.popen.wait(60)

    def files(self) -> list[Path]:
        return sorted((self.directory / "tmp").iterdir())


@contextmanager
def demo(directory: Path, *arguments: str) -> Iterator[Run]:
    (directory / "tmp").mkdir()
    environment = {**os.environ, "TMPDIR": str(directory / "tmp"), "COLUMNS": "100"}
    with (directory / "out").open("wb") as out, (directory / "err").open("wb") as err:
        popen = subprocess.Popen([*COMMAND, *arguments], stdout=out, stderr=err, env=environment)
    try:
        yield Run(popen, directory)
    finally:
        popen.kill()
        popen.wait()


class TestByItself:
    """It ends with status 0 when all went well."""

    def test_it_shows_requests_and_a_story_and_leaves_nothing(self, tmp_path: Path, leftovers: Leftovers) -> None:
        start = time.monotonic()
        with demo(tmp_path) as run:
            assert run.end() == 0, run.errors
        assert time.monotonic() - start < 60
        for text in ("alice", "bob", "breaks a shelf", "gateway", "orders", "inventory", "receipt sent to alice"):
            assert text in run.output
        assert run.errors.splitlines()[0] == "demo: starting the collector"
        assert run.files() == []
        assert leftovers.soon(1) == []


class TestSignals:
    """A signal ends it in order, with the status that shells give it."""

    @pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
    def test_signal_during_the_start(
        self, tmp_path: Path, leftovers: Leftovers, number: signal.Signals, status: int
    ) -> None:
        with demo(tmp_path) as run:
            run.wait_for("demo: starting gateway")
            run.popen.send_signal(number)
            assert run.end() == status
        assert "Traceback" not in run.errors
        assert (run.errors.splitlines()[-1] == INTERRUPTED) == (number == signal.SIGINT)
        assert run.files() == []
        assert leftovers.soon(1) == []

    def test_interrupt_before_anything_is_loaded_is_answered_too(self, tmp_path: Path, leftovers: Leftovers) -> None:
        with demo(tmp_path) as run:
            maps = Path(f"/proc/{run.popen.pid}/maps")
            # The session loads HTTPS support; by then the command runs, and nothing is started yet.
            assert wait_until(lambda: "/_ssl." in maps.read_text(), check=lambda: None, deadline=time.monotonic() + 30)
            run.popen.send_signal(signal.SIGINT)
            assert run.end() == 130
        assert run.errors.splitlines() == [INTERRUPTED]
        assert run.files() == []
        assert leftovers.soon(1) == []


class TestKeep:
    """With ``--keep`` it stays until Ctrl-C."""

    def test_interrupt_ends_it_well(self, tmp_path: Path, leftovers: Leftovers) -> None:
        with demo(tmp_path, "--keep") as run:
            run.wait_for(KEPT)
            page = next(line.split()[-1] for line in run.output.splitlines() if "web page" in line)
            assert httpx.get(page, trust_env=False).status_code == 200
            curl = next(line for line in run.output.splitlines() if line.startswith("curl"))
            answer = subprocess.run(["sh", "-c", f"{curl} -s"], check=True, capture_output=True, text=True).stdout
            assert "200 OK" in answer
            assert "x-request-id: " in answer.lower()
            run.popen.send_signal(signal.SIGINT)
            assert run.end() == 0
        assert run.files() == []
        assert leftovers.soon(1) == []

    def test_killed_demo_leaves_no_process(self, tmp_path: Path, leftovers: Leftovers) -> None:
        with demo(tmp_path, "--keep") as run:
            run.wait_for(KEPT)
            assert len(leftovers.now()) > 5
            run.popen.kill()
        assert leftovers.soon() == []

    def test_death_of_a_service_ends_it_with_its_name_signal_and_log(
        self, tmp_path: Path, leftovers: Leftovers
    ) -> None:
        with demo(tmp_path, "--keep") as run:
            run.wait_for(KEPT)
            os.kill(self._orders(run.popen.pid), signal.SIGKILL)
            assert run.end() == 1
        log = run.files()[0] / "orders.log"
        assert run.errors.splitlines()[-1] == f"otelctx: orders was killed by SIGKILL. Its log: {log}"
        assert "Traceback" not in run.errors
        assert log.exists()
        assert leftovers.soon(1) == []

    @staticmethod
    def _orders(runner: int) -> int:
        children = Path(f"/proc/{runner}/task/{runner}/children").read_text().split()
        return next(
            int(pid) for pid in children if b"otelctx.demo.orders:app" in Path(f"/proc/{pid}/cmdline").read_bytes()
        )


class TestCollector:
    """It can use a collector that is there already, and leaves it alone."""

    def test_json_comes_from_the_collector_that_runs(self, tmp_path: Path, leftovers: Leftovers) -> None:
        ready = tmp_path / "ready.json"
        options = ["--http-port", "0", "--grpc-port", "0", "--store", ":memory:", "--ready-file", str(ready)]
        with ProcessGroup(tmp_path) as group:
            group.start("collector", [sys.executable, "-m", "otelctx.collector", *options], os.environ)
            assert wait_until(ready.exists, check=group.check, deadline=time.monotonic() + 30)
            url = f"http://127.0.0.1:{json.loads(ready.read_text())['http_port']}"
            with demo(tmp_path, "--json", "--collector", url) as run:
                assert run.end() == 0, run.errors
            shown = json.loads(run.output)
            request_id = shown["requests"][0]["request_id"]
            story = httpx.get(f"{url}/api/story", params={"request_id": request_id}, trust_env=False).json()
        assert {(sent["user_id"], sent["status"]) for sent in shown["requests"]} == {
            ("alice", 200),
            ("alice", 409),
            ("bob", 200),
            ("bob", 502),
        }
        assert shown["story"]["services"] == story["services"] == ["gateway", "orders", "inventory"]
        assert shown["story"]["user_id"] == story["user_id"] == "alice"
        assert leftovers.soon(1) == []

    def test_collector_that_does_not_run_is_an_error(self, tmp_path: Path, leftovers: Leftovers) -> None:
        with demo(tmp_path, "--collector", "http://127.0.0.1:1") as run:
            assert run.end() == 3
        assert "No collector answers at http://127.0.0.1:1; start one with 'otelctx collector'" in run.errors
        assert leftovers.soon(1) == []

    @pytest.mark.parametrize("others", [[], ["--keep", "--collector", "http://127.0.0.1:1"]])
    def test_a_gateway_that_runs_already_needs_its_collector_and_is_not_kept(self, others: list[str]) -> None:
        done = subprocess.run(
            [*COMMAND, "--gateway", "http://127.0.0.1:1", *others],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 1
        assert "it needs '--collector' and keeps nothing" in done.stderr
