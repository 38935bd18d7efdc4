"""Servers with several worker processes, and one that starts anew when a file changes."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

APPS = Path(__file__).parent / "apps"


class Asked:
    """A service, and which of its processes has answered which request."""

    def __init__(self, service: Any) -> None:
        self.service = service
        self.pids: dict[str, int] = {}

    def once(self) -> bool:
        """Ask once; over a connection of its own, so that it may be another process that answers."""
        request_id = f"{self.service.name}-{len(self.pids)}"
        try:
            answer = self.service.get("/called", {"x-request-id": request_id, "baggage": f"user_id=of-{request_id}"})
        except OSError:  # between two processes there is none
            return False
        assert answer.header("x-request-id") == request_id
        self.pids[request_id] = json.loads(answer.body)["pid"]
        return True

    def by(self, processes: int) -> bool:
        """Ask once, and tell whether that many processes have answered so far."""
        return self.once() and len({*self.pids.values()}) == processes

    def check(self) -> None:
        """Every request, whichever process served it, is complete at the collector."""
        for request_id, pid in self.pids.items():
            (span,) = self.service.spans(request_id=request_id)
            # OpenTelemetry's own distribution does not tell the process.
            assert span["resource"].get("process.pid", str(pid)) in {pid, str(pid)}
            logs = self.service.logs(request_id=request_id)
            assert {log["scope"] for log in logs} == {"app", "uvicorn.access"}
            assert {(log["trace_id"], log["user_id"]) for log in logs} == {(span["trace_id"], f"of-{request_id}")}


@pytest.mark.parametrize("launcher", ["otelctx run", "opentelemetry-instrument"])
@pytest.mark.parametrize(
    "command",
    [
        "uvicorn --port {port} --workers 2 caller:app",
        "gunicorn --bind 127.0.0.1:{port} --access-logfile - --workers 2 -k uvicorn_worker.UvicornWorker caller:app",
    ],
    ids=["uvicorn", "gunicorn"],
)
def test_each_worker_serves_records_and_sends_all_before_it_ends(
    start: Any, wait_for: Any, command: str, launcher: str
) -> None:
    asked = Asked(start(*command.split(), launcher=launcher))
    wait_for(lambda: asked.by(2), what="an answer of two processes")
    asked.service.stop()
    asked.check()


def test_a_reloaded_application_goes_on_as_before(start: Any, wait_for: Any, tmp_path: Path) -> None:
    app = Path(shutil.copy(APPS / "caller.py", tmp_path / "reloaded.py"))
    asked = Asked(start("uvicorn", "--port", "{port}", "--reload", "reloaded:app", cwd=tmp_path))
    wait_for(lambda: asked.by(1), what="an answer")
    changed = app.stat().st_mtime + 10
    os.utime(app, (changed, changed))
    wait_for(lambda: asked.by(2), what="an answer of two processes")
    asked.service.stop()
    asked.check()
