"""Start-up: what is loaded, and how often all packages are asked, do not grow unseen."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.bare_environment import bare_environment

SET_UP = """
import importlib.metadata, json, os, sys

scans = []
scan = importlib.metadata.entry_points
importlib.metadata.entry_points = lambda **wanted: [scans.append(wanted), scan(**wanted)][1]

from opentelemetry.instrumentation.auto_instrumentation import initialize

initialize()
heavy = {heavy!r}
print(json.dumps({{"scans": len(scans), "loaded": [name for name in heavy if name in sys.modules]}}))
"""

PYTHONS = ("concurrent.futures.process", "multiprocessing.managers", "multiprocessing.pool", "tomllib")
OF_CONFIGURATION = ("msgspec", "yaml")
OF_THE_COMMAND_LINE = ("typer", "pydantic", "rich", "click")
FRAMEWORKS = ("aiohttp", "botocore", "django", "fastapi", "flask", "httpx", "starlette", "uvicorn", "werkzeug")
NEVER = (*OF_CONFIGURATION, *OF_THE_COMMAND_LINE, *FRAMEWORKS)
HTTP = ("requests", "urllib3")
DELIVERY = ("google.protobuf", "sqlite3")
HEAVY = (*PYTHONS, *NEVER, *HTTP, "grpc", *DELIVERY)


def set_up(folder: Path, **environment: str) -> Any:
    """Return what the set-up of a program that imports nothing does."""
    kept = bare_environment("PYTHON")
    own = {
        "OTEL_PYTHON_DISTRO": "otelctx",
        "OTEL_PYTHON_CONFIGURATOR": "otelctx",
        "OTEL_SERVICE_NAME": "shop",
        "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "asyncio,threading",  # they import what they are of
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9",
        "OTELCTX_SPOOL_DIRECTORY": str(folder),
    }
    done = subprocess.run(
        [sys.executable, "-c", SET_UP.format(heavy=HEAVY)],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
        cwd=folder,
        env=kept | own | environment,
    )
    return json.loads(done.stdout)


def exported_by(name: str) -> dict[str, str]:
    return {f"OTEL_{signal}_EXPORTER": name for signal in ("TRACES", "METRICS", "LOGS")}


def test_a_program_that_exports_nothing_loads_no_library(tmp_path: Path) -> None:
    environment = exported_by("none") | {"OTELCTX_SPOOL_DIRECTORY": ""}
    assert set_up(tmp_path, **environment) == {"scans": 1, "loaded": []}


@pytest.mark.parametrize(("protocol", "not_loaded"), [("http/protobuf", ("grpc",)), ("grpc", HTTP)])
def test_one_protocol_of_export_is_loaded(tmp_path: Path, protocol: str, not_loaded: tuple[str, ...]) -> None:
    found = set_up(tmp_path, OTEL_EXPORTER_OTLP_PROTOCOL=protocol)
    assert found["scans"] == 1
    assert not {*not_loaded, *OF_THE_COMMAND_LINE, *FRAMEWORKS} & {*found["loaded"]}


def test_the_command_line_that_launches_a_program_loads_no_telemetry(tmp_path: Path) -> None:
    code = """
import json, os, sys
from otelctx.cli.__main__ import main
sys.argv = ["otelctx", "run", "true"]
os.execv = lambda *_: print(json.dumps([name for name in sys.modules if name.startswith("opentelemetry.")]))
main()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    # Where the packages are is looked up, nothing of them runs.
    assert json.loads(done.stdout) == ["opentelemetry.instrumentation"]
