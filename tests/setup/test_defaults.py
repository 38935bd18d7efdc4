"""What is said where the environment says nothing: the exporters, the service's name and the resource."""

from __future__ import annotations

import os
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from otelctx.setup import distro, resource
from otelctx.setup.resource import attributes, service_name


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder that no project above it can name."""
    (tmp_path / ".git").mkdir()
    return tmp_path


class TestDistro:
    def test_everything_goes_by_way_of_the_disk_and_by_otlp_over_http(
        self, project: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        if not entry_points(group="opentelemetry_traces_exporter", name="otelctx"):
            pytest.skip("the package was installed from an older source tree; run make setup")
        monkeypatch.chdir(project)
        monkeypatch.setattr(sys, "orig_argv", ["python", "shop.py"])
        environ: dict[str, str] = {}
        distro.set_defaults(environ)
        assert environ == {
            "OTEL_TRACES_EXPORTER": "otelctx",
            "OTEL_METRICS_EXPORTER": "otelctx",
            "OTEL_LOGS_EXPORTER": "otelctx",
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_SERVICE_NAME": "shop",
        }

    @pytest.mark.parametrize(
        "given",
        [
            {"OTELCTX_SPOOL": "false"},
            {"OTELCTX_STRICT": "wrong"},
            {"OTELCTX_ENABLED": "false"},
            {"OTEL_PYTHON_EXPORTER_OTLP_HTTP_CREDENTIAL_PROVIDER": "theirs"},
        ],
    )
    def test_switched_off_or_while_the_configuration_is_wrong_all_is_left_to_the_sdk(
        self, project: Path, monkeypatch: pytest.MonkeyPatch, given: dict[str, str]
    ) -> None:
        monkeypatch.chdir(project)
        monkeypatch.setattr(sys, "orig_argv", ["python", "shop.py"])
        environ = dict(given)
        distro.set_defaults(environ)
        assert environ == given | {
            "OTEL_TRACES_EXPORTER": "otlp",
            "OTEL_METRICS_EXPORTER": "otlp",
            "OTEL_LOGS_EXPORTER": "otlp",
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_EXPORTER_OTLP_TIMEOUT": "2",
            "OTEL_SERVICE_NAME": "shop",
        }

    def test_a_collector_elsewhere_gets_the_time_of_the_standard(self) -> None:
        environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": "https://collector.example"}
        distro.set_defaults(environ)
        assert "OTEL_EXPORTER_OTLP_TIMEOUT" not in environ

    @pytest.mark.parametrize(
        "given",
        [
            {"OTEL_SERVICE_NAME": "theirs", "OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
            {"OTEL_RESOURCE_ATTRIBUTES": "team=a,service.name=theirs"},
        ],
    )
    def test_what_the_environment_says_stays(self, given: dict[str, str]) -> None:
        environ = dict(given)
        distro.set_defaults(environ)
        assert environ.items() >= given.items()
        assert environ.get("OTEL_SERVICE_NAME", "theirs") == "theirs"


class TestServiceName:
    def test_it_is_that_of_the_project(self, project: Path) -> None:
        (project / "pyproject.toml").write_text('[project]\nname = "the-project"\n')
        (project / "src").mkdir()
        assert service_name(["python", "x.py"], project / "src") == "the-project"

    @pytest.mark.parametrize(
        "text", ["", "[tool.x]\n", "[project]\n", "[project\n", "project = 3\n", "[project]\nname=3"]
    )
    def test_a_project_without_a_name_gives_none(self, project: Path, text: str) -> None:
        (project / "pyproject.toml").write_text(text)
        assert service_name(["python", "shop.py"], project) == "shop"

    @pytest.mark.parametrize(
        ("argv", "name"),
        [
            (["python", "shop.py"], "shop"),
            (["python", "/opt/shop/worker.py", "--fast"], "worker"),
            (["python", "/venv/bin/uvicorn", "shop.orders:app", "--port", "80"], "orders"),
            (["python", "/venv/bin/uvicorn", "--port", "80", "shop.main:app"], "shop"),
            (["python", "/venv/bin/gunicorn", "-w", "2", "-b", "127.0.0.1:80", "shop.wsgi:application"], "shop"),
            (["python", "-m", "shop"], "shop"),
            (["python"], None),
        ],
    )
    def test_else_that_of_the_program(self, project: Path, argv: list[str], name: str | None) -> None:
        assert service_name(argv, project) == name

    def test_an_application_called_app_is_named_after_its_folder(self, project: Path) -> None:
        folder = project / "shop"
        folder.mkdir()
        assert service_name(["python", "/venv/bin/uvicorn", "app:app"], folder) == "shop"


class TestResource:
    def test_it_tells_process_and_host(self) -> None:
        known = attributes({})
        assert known["process.pid"] == os.getpid()
        assert {"service.instance.id", "host.name", "process.runtime.name", "os.type"} <= known.keys()

    def test_it_holds_no_command_line(self) -> None:
        assert not any("command" in key for key in attributes({}))

    def test_what_the_environment_says_is_left_to_it(self) -> None:
        known = attributes({"OTEL_RESOURCE_ATTRIBUTES": "host.name=theirs, process.pid=1"})
        assert known.keys().isdisjoint({"host.name", "process.pid"})

    @pytest.mark.skipif(sys.platform == "win32", reason="os.type has other values there")
    def test_the_operating_system_has_its_name_of_the_conventions(self) -> None:
        assert attributes({})["os.type"] in {"linux", "darwin", "freebsd", "netbsd", "openbsd", "aix"}
        assert resource.attributes({})["os.type"] == attributes({})["os.type"]
