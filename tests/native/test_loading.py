"""Which of both runs: the compiled twins, or the Python source."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest

from otelctx.native import SWITCH, TWINS, compiled_floors
from otelctx.setup import environment_variables
from tests.bare_environment import bare_environment

PACKAGE = Path(__file__).parents[2] / "otelctx"
FLOORS = sorted(source.stem for source in (PACKAGE / "native").glob("*.pyx"))
COMPILED = [PACKAGE / "native" / f"{floor}{EXTENSION_SUFFIXES[0]}" for floor in FLOORS]

PROGRAM = """
import logging
logging.basicConfig(format="%(message)s")
import otelctx
with otelctx.request(user_id="alice"), otelctx.bind(step="charge"):
    assert (otelctx.get("user_id"), otelctx.get("step")) == ("alice", "charge")
from otelctx.native import compiled_floors
print(*compiled_floors())
"""

needs_twins = pytest.mark.skipif(
    not all(path.exists() for path in COMPILED), reason="nothing is compiled; run make native"
)


def run(folder: Path, program: str = PROGRAM, **environment: str) -> tuple[list[str], str]:
    """Return the floors that run compiled where the package is that of *folder*, and what is said about it."""
    kept = {name: value for name, value in bare_environment("PYTHON").items() if name != SWITCH}
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=folder,
        env=kept | {"PYTHONPATH": str(folder)} | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split(), done.stderr


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a folder that has the package with sources and compiled files, the latter younger."""
    shutil.copytree(PACKAGE, tmp_path / "otelctx", ignore=shutil.ignore_patterns("__pycache__"))
    for path in COMPILED:
        if path.exists():
            os.utime(tmp_path / "otelctx" / "native" / path.name)
    return tmp_path


def test_make_test_native_runs_every_twin() -> None:
    if os.environ.get(SWITCH) != "1":
        pytest.skip("it is for make test-native")
    assert compiled_floors() == FLOORS
    assert [] == [name for name, (pure, twin) in TWINS.items() if pure is twin]


@pytest.mark.parametrize("value", ["0", "false", " False "])
def test_the_switch_leaves_python_alone(value: str) -> None:
    assert run(PACKAGE.parent, OTELCTX_NATIVE=value) == ([], "")


def test_the_switch_is_the_variable_that_is_listed() -> None:
    assert environment_variables.OTELCTX_NATIVE == SWITCH


@needs_twins
class TestCompiled:
    @pytest.mark.parametrize("value", ["", "1", "true"])
    def test_any_other_value_runs_what_is_there(self, checkout: Path, value: str) -> None:
        assert run(checkout, OTELCTX_NATIVE=value) == (FLOORS, "")

    @pytest.mark.parametrize("changed", ["core.pyx", "core.pxd"])
    def test_what_is_older_than_a_source_is_not_run_and_that_is_said(self, checkout: Path, changed: str) -> None:
        native = checkout / "otelctx" / "native"
        made = min((native / path.name).stat().st_mtime for path in COMPILED)
        os.utime(native / changed, (made + 1, made + 1))

        floors, said = run(checkout)

        assert (floors, said.count("\n")) == ([], 1)
        assert "'make native' compiles it again" in said

    def test_what_is_installed_has_no_sources_and_runs_whatever_its_time(self, checkout: Path) -> None:
        native = checkout / "otelctx" / "native"
        for source in [*native.glob("*.pyx"), *native.glob("*.pxd")]:
            source.unlink()
        for path in COMPILED:
            os.utime(native / path.name, (0, 0))

        assert run(checkout) == (FLOORS, "")

    def test_what_cannot_be_loaded_leaves_python_and_says_so(self, checkout: Path) -> None:
        for path in COMPILED:
            (checkout / "otelctx" / "native" / path.name).write_bytes(b"not a library")

        floors, said = run(checkout)

        assert floors == []
        assert "cannot be loaded here, and Python does its work" in said

    def test_what_was_compiled_for_another_python_is_not_seen(self, checkout: Path) -> None:
        native = checkout / "otelctx" / "native"
        for path in COMPILED:
            (native / path.name).rename(native / path.name.replace("cpython-3", "cpython-2"))

        assert run(checkout) == ([], "")


def test_inside_an_archive_python_runs(checkout: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "app.zip", "w") as archive:
        for path in sorted((checkout / "otelctx").rglob("*.py")):
            archive.write(path, path.relative_to(checkout))
    shutil.rmtree(checkout / "otelctx")

    assert run(tmp_path, f"import sys; sys.path.insert(0, 'app.zip')\n{PROGRAM}") == ([], "")


def test_a_second_interpreter_runs_python_beside_the_first() -> None:
    program = f"""
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters
{PROGRAM}
second = interpreters.create()
failed = interpreters.run_string(second, {PROGRAM.replace("print(", "assert not list(")!r})
assert failed is None, failed.formatted
with otelctx.request(user_id="bob"):
    assert otelctx.get("user_id") == "bob"
interpreters.destroy(second)
with otelctx.request(user_id="carol"):
    assert otelctx.get("user_id") == "carol"
"""
    run(PACKAGE.parent, program)
