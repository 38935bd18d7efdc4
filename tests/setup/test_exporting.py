"""What the configuration and the standard variables make of delivery."""

from __future__ import annotations

import socket
import sqlite3
import stat
import subprocess
import sys
import time
from contextlib import closing
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter

from otelctx.errors import ConfigError
from otelctx.export.settings import SpoolSettings
from otelctx.setup import config, exporting
from tests.bare_environment import bare_environment

SCRIPT = """
import logging, time
from opentelemetry import trace
logging.getLogger("shop").warning("a line")
with trace.get_tracer("shop").start_as_current_span("work"):
    pass
print(time.monotonic())
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / ".git").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


class TestSettings:
    def test_are_for_the_service_and_in_the_state_directory(self, project: Path) -> None:
        environ = {"XDG_STATE_HOME": "/state", "OTEL_RESOURCE_ATTRIBUTES": "service.name=shop"}
        assert exporting.spool_settings(environ) == SpoolSettings(Path("/state/otelctx/spool"), "shop")

    def test_say_where_and_how_much(self, project: Path) -> None:
        (project / "otelctx.toml").write_text(
            "[otelctx.export]\ndirectory = 'here'\nmax_bytes = 5\nmax_age_seconds = 1\nshutdown_seconds = 0.5\n"
            "write_through = true\nfsync = true\nrequests_per_second = 2\nmax_memory_bytes = 7\n"
        )
        expected = SpoolSettings(project / "here", "unknown_service", 5, 7, 1.0, 0.5, 2.0, True, True)
        assert exporting.spool_settings({}) == expected

    @pytest.mark.parametrize("environ", [{"OTELCTX_SPOOL": "false"}, {"OTELCTX_STRICT": "wrong"}])
    def test_write_nothing_to_disk_when_they_say_so_or_are_wrong(self, project: Path, environ: dict[str, str]) -> None:
        assert exporting.spool_settings({"XDG_STATE_HOME": "/state", **environ}).directory is None

    def test_each_mistake_is_named_with_what_was_expected(self, project: Path) -> None:
        (project / "otelctx.toml").write_text(
            "[otelctx.export]\nspol = true\nmax_bytes = 0\nmax_age_seconds = -1\nrequests_per_second = 0\n"
        )
        with pytest.raises(ConfigError) as raised:
            config.load({}, project)
        spot = f"{project}/otelctx.toml: otelctx.export"
        assert str(raised.value).splitlines() == [
            f"{spot}.spol: unknown key; did you mean 'spool'?",
            f"{spot}.max_bytes: expected an integer of at least 1, got 0",
            f"{spot}.max_age_seconds: expected a number of seconds, got -1",
            f"{spot}.requests_per_second: expected a number above 0, got 0",
        ]


class TestBatches:
    def test_are_as_the_standard_variables_say_and_a_wrong_one_is_ignored_and_said(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        environ = {
            "OTEL_BLRP_SCHEDULE_DELAY": "250",
            "OTEL_BLRP_MAX_EXPORT_BATCH_SIZE": "10",
            "OTEL_BLRP_MAX_QUEUE_SIZE": "many",
        }
        settings = exporting.batch_settings("OTEL_BLRP", environ)
        assert (settings.delay_seconds, settings.batch_size, settings.queue_size) == (0.25, 10, 8192)
        assert "OTEL_BLRP_MAX_QUEUE_SIZE is ignored" in caplog.text

    def test_an_exporter_of_others_keeps_the_sdks_processor(self) -> None:
        processor = exporting.span_processor(ConsoleSpanExporter())
        assert isinstance(processor, BatchSpanProcessor)
        processor.shutdown()


@pytest.mark.skipif(
    not entry_points(group="opentelemetry_traces_exporter", name="otelctx"),
    reason="the package was installed from an older source tree; run make setup",
)
class TestInAProgram:
    def run(self, folder: Path, port: int, **environment: str) -> subprocess.CompletedProcess[str]:
        (folder / "script.py").write_text(SCRIPT)
        kept = bare_environment()
        return subprocess.run(
            [sys.executable, "-m", "otelctx.cli", "run", "script.py"],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
            cwd=folder,
            env=kept
            | {"XDG_STATE_HOME": str(folder / "state"), "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}"}
            | {"OTEL_EXPORTER_OTLP_HEADERS": "api-key=s3cret", "OTEL_SERVICE_NAME": "shop"}
            | environment,
        )

    def waiting(self, folder: Path) -> dict[str, int]:
        """Return how many items of each signal wait."""
        waiting = {}
        for file in folder.glob("*.sqlite3"):
            with closing(sqlite3.connect(file)) as connection:
                ((items,),) = connection.execute("SELECT sum(items) FROM batches")
            waiting[file.name.partition("-")[0]] = items
        return waiting

    @pytest.fixture
    def closed_port(self) -> int:
        with socket.create_server(("127.0.0.1", 0)) as server:
            return int(server.getsockname()[1])

    def test_what_no_collector_took_is_on_disk_for_this_user_only_and_without_secrets(
        self, project: Path, closed_port: int
    ) -> None:
        self.run(project, closed_port)
        folder = project / "state" / "otelctx" / "spool" / "shop"
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        files = [*folder.iterdir()]
        assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
        assert not [file for file in files if b"s3cret" in file.read_bytes()]
        waiting = self.waiting(folder)
        assert waiting["traces"] == 1
        assert waiting["logs"] >= 1

    @pytest.mark.parametrize(
        "environment", [{"OTELCTX_SPOOL": "false"}, {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_LOGS_EXPORTER": "none"}]
    )
    def test_what_the_environment_chooses_stays(
        self, project: Path, closed_port: int, environment: dict[str, str]
    ) -> None:
        done = self.run(project, closed_port, **environment, OTEL_EXPORTER_OTLP_TIMEOUT="2")
        assert "What could not be delivered is dropped" in done.stderr
        assert not [*project.glob("state/otelctx/spool/shop/traces*")]

    def test_the_end_waits_for_a_collector_that_never_answers_no_longer_than_it_may_and_loses_nothing(
        self, project: Path
    ) -> None:
        with socket.create_server(("127.0.0.1", 0), backlog=64) as silent:
            done = self.run(project, silent.getsockname()[1])
        took = time.monotonic() - float(done.stdout)
        # Three seconds, and a lot for a machine that is busy; the exporters of the SDK would take ten each, one by one.
        assert took < 20
        assert self.waiting(project / "state" / "otelctx" / "spool" / "shop")["traces"] == 1

    def test_where_nothing_can_be_written_it_runs_and_says_so_once(self, project: Path, closed_port: int) -> None:
        (project / "state").write_text("no directory")
        done = self.run(project, closed_port)
        assert done.stderr.count("telemetry waits in memory only") == 1
