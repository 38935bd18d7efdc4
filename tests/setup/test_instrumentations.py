"""Instrumentations of libraries: none is loaded before its library, and all are as if they had been loaded at once."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.bare_environment import bare_environment

RUN = (sys.executable, "-m", "otelctx.cli", "run", sys.executable)
NONE = {f"OTEL_{signal}_EXPORTER": "none" for signal in ("TRACES", "METRICS", "LOGS")}

DEFERRED = ("aiohttp", "botocore", "django", "fastapi", "flask", "grpc", "httpx", "starlette")

STATE = """
import json, sys

def state(**more):
    loaded = sys.modules
    instrumented = {
        name: vars(loaded[f"opentelemetry.instrumentation.{name}"])[kind]().is_instrumented_by_opentelemetry
        for name, kind in (("fastapi", "FastAPIInstrumentor"), ("flask", "FlaskInstrumentor"),
                           ("starlette", "StarletteInstrumentor"), ("pika", "PikaInstrumentor"))
        if f"opentelemetry.instrumentation.{name}" in loaded
    }
    print(json.dumps({"instrumented": instrumented, **more}))
"""


def run(code: str, folder: Path, *, launcher: tuple[str, ...] = RUN, **environment: str) -> tuple[Any, str]:
    """Return what the program *code* prints last, as JSON, and what it says of itself on stderr."""
    kept = bare_environment("PYTHON", "DJANGO")
    done = subprocess.run(
        [*launcher, "-c", STATE + textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=folder,
        env=kept | NONE | environment,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1]), done.stderr


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A directory with the library ``pika`` and an instrumentation of it, as packages are installed."""
    folder = tmp_path / "installed"

    def write(path: str, text: str) -> None:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(textwrap.dedent(text))

    write("pika/__init__.py", "__version__ = '1.3'\nconnect = 'plain'\n")
    write("pika-1.3.dist-info/METADATA", "Metadata-Version: 2.1\nName: pika\nVersion: 1.3\n")
    write(
        "opentelemetry/instrumentation/pika/__init__.py",
        """
        import os
        import pika
        from opentelemetry.instrumentation.instrumentor import BaseInstrumentor

        class PikaInstrumentor(BaseInstrumentor):
            def instrumentation_dependencies(self):
                return ["pika >= 1"]

            def _instrument(self, **kwargs):
                if error := os.environ.get("PIKA_ERROR"):
                    raise {"ImportError": ImportError, "ValueError": ValueError}[error]("no way")
                pika.connect = "instrumented"

            def _uninstrument(self, **kwargs):
                pika.connect = "plain"

        def after_all():
            os.environ["PIKA_AFTER_ALL"] = pika.connect
        """,
    )
    metadata = "opentelemetry_instrumentation_pika-1.0.dist-info"
    write(
        f"{metadata}/METADATA",
        """\
        Metadata-Version: 2.1
        Name: opentelemetry-instrumentation-pika
        Version: 1.0
        Provides-Extra: instruments
        Requires-Dist: pika >= 1; extra == "instruments"
        """,
    )
    write(
        f"{metadata}/entry_points.txt",
        "[opentelemetry_instrumentor]\npika = opentelemetry.instrumentation.pika:PikaInstrumentor\n",
    )
    return folder


class TestWaiting:
    def test_a_program_that_imports_nothing_pays_for_no_library(self, tmp_path: Path) -> None:
        code = f"state(loaded=[name for name in {DEFERRED!r} if name in sys.modules])"
        found, _ = run(code, tmp_path)
        assert found == {"instrumented": {}, "loaded": []}

    def test_the_same_under_opentelemetrys_launcher(self, tmp_path: Path) -> None:
        launcher = (str(Path(sys.executable).parent / "opentelemetry-instrument"), sys.executable)
        code = f"state(loaded=[name for name in {DEFERRED!r} if name in sys.modules])"
        found, _ = run(code, tmp_path, launcher=launcher, OTEL_PYTHON_DISTRO="otelctx")
        assert found == {"instrumented": {}, "loaded": []}

    @pytest.mark.parametrize("statement", ["import flask", "from flask.app import Flask", "import flask.json as j"])
    def test_a_library_is_instrumented_when_the_import_is_over(self, tmp_path: Path, statement: str) -> None:
        found, _ = run(f"{statement}\nstate()", tmp_path)
        assert found["instrumented"] == {"flask": True}

    def test_a_framework_is_not_derived_from_an_instrumented_one(self, tmp_path: Path) -> None:
        code = """
        import fastapi, starlette.applications
        state(bases=[base.__name__ for base in fastapi.FastAPI.__mro__])
        """
        found, _ = run(code, tmp_path)
        assert found["instrumented"] == {"fastapi": True, "starlette": True}
        assert found["bases"] == ["_InstrumentedFastAPI", "FastAPI", "Starlette", "object"]

    def test_an_application_may_import_the_instrumentation_first(self, tmp_path: Path) -> None:
        code = """
        from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
        state(at_once=FastAPIInstrumentor().is_instrumented_by_opentelemetry)
        """
        found, error = run(code, tmp_path)
        assert found["at_once"] is True
        assert "Error" not in error

    def test_several_threads_that_import_at_once_get_what_is_instrumented(self, tmp_path: Path) -> None:
        code = """
        import threading
        from importlib import import_module
        barrier = threading.Barrier(8)
        found = []

        def use(number):
            barrier.wait()
            if number % 2:
                found.append(import_module("fastapi").FastAPI.__name__)
            else:
                found.append(import_module("flask").Flask.__name__)

        threads = [threading.Thread(target=use, args=(number,)) for number in range(8)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        state(found=sorted(found))
        """
        found, error = run(code, tmp_path)
        assert found["found"] == ["_InstrumentedFastAPI"] * 4 + ["_InstrumentedFlask"] * 4
        assert "Error" not in error

    def test_what_is_switched_off_stays_as_it_is(self, tmp_path: Path) -> None:
        found, _ = run("import flask\nstate()", tmp_path, OTEL_PYTHON_DISABLED_INSTRUMENTATIONS="urllib, flask")
        assert found["instrumented"] == {}

    def test_what_is_switched_off_is_otelctx_then_everything_is_loaded_at_once(self, tmp_path: Path) -> None:
        found, _ = run("state()", tmp_path, OTELCTX_ENABLED="false")
        assert found["instrumented"] == {"fastapi": True, "flask": True, "starlette": True}


class TestAtOnce:
    def test_a_library_that_is_there_before_set_up_is_instrumented_at_set_up(self, tmp_path: Path) -> None:
        code = """
        import os
        os.environ.update(OTEL_PYTHON_DISTRO="otelctx", OTEL_PYTHON_CONFIGURATOR="otelctx")
        import flask
        from opentelemetry.instrumentation.auto_instrumentation import initialize
        initialize()
        state(name=flask.Flask.__name__)
        """
        found, _ = run(code, tmp_path, launcher=(sys.executable,))
        assert found == {"instrumented": {"flask": True}, "name": "_InstrumentedFlask"}

    @pytest.mark.skipif(find_spec("opentelemetry.instrumentation.django") is None, reason="it is not installed")
    def test_django_with_settings_is_instrumented_before_anything_imports_it(self, tmp_path: Path) -> None:
        (tmp_path / "settings.py").write_text("from django.utils.timezone import now\nMIDDLEWARE = ['one']\n")
        code = """
        import settings
        from django.conf import settings as configured
        state(middleware=configured.MIDDLEWARE)
        """
        found, _ = run(code, tmp_path, DJANGO_SETTINGS_MODULE="settings")
        assert found["middleware"][1:] == ["one"]
        assert found["middleware"][0].startswith("opentelemetry.")

    def test_a_hook_for_afterwards_finds_everything_instrumented(self, tmp_path: Path, installed: Path) -> None:
        metadata = installed / "hook-1.0.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: hook\nVersion: 1.0\n")
        (metadata / "entry_points.txt").write_text(
            "[opentelemetry_post_instrument]\nhook = opentelemetry.instrumentation.pika:after_all\n"
        )
        code = "import os\nstate(after_all=os.environ.get('PIKA_AFTER_ALL'))"
        found, _ = run(code, tmp_path, PYTHONPATH=str(installed))
        assert found["after_all"] == "instrumented"
        assert found["instrumented"] == {"fastapi": True, "flask": True, "pika": True, "starlette": True}

    def test_the_log_says_once_that_it_is_instrumented_and_once_that_it_is_loaded(
        self, tmp_path: Path, installed: Path
    ) -> None:
        code = """
        import logging, os
        os.environ.update(OTEL_PYTHON_DISTRO="otelctx", OTEL_PYTHON_CONFIGURATOR="otelctx")
        logging.basicConfig(level=logging.DEBUG)
        from opentelemetry.instrumentation.auto_instrumentation import initialize
        initialize()
        import pika
        state()
        """
        _, output = run(code, tmp_path, launcher=(sys.executable,), PYTHONPATH=str(installed))
        assert output.count("Instrumented pika") == 1
        assert output.count("Loaded the instrumentation pika, for its library is imported") == 1


class TestErrors:
    CODE = "import pika\nstate(connect=pika.connect)"

    def test_an_instrumentation_of_the_same_name_works(self, tmp_path: Path, installed: Path) -> None:
        found, error = run(self.CODE, tmp_path, PYTHONPATH=str(installed))
        assert found == {"instrumented": {"pika": True}, "connect": "instrumented"}
        assert error == ""

    @pytest.mark.parametrize(
        ("error", "line"),
        [
            ("ImportError", "Importing of pika failed, skipping it"),
            ("ValueError", "Instrumenting of pika failed"),
        ],
    )
    def test_what_fails_is_reported_and_the_library_is_imported_all_the_same(
        self, tmp_path: Path, installed: Path, error: str, line: str
    ) -> None:
        found, output = run(self.CODE, tmp_path, PYTHONPATH=str(installed), PIKA_ERROR=error)
        assert found == {"instrumented": {"pika": False}, "connect": "plain"}
        assert line in output
        assert f"{error}: no way" in output

    def test_a_version_that_does_not_fit_stays_as_it_is(self, tmp_path: Path, installed: Path) -> None:
        (installed / "pika-1.3.dist-info/METADATA").write_text("Metadata-Version: 2.1\nName: pika\nVersion: 0.9\n")
        found, _ = run(self.CODE, tmp_path, PYTHONPATH=str(installed))
        assert found == {"instrumented": {}, "connect": "plain"}
