from __future__ import annotations

import subprocess
import sys
import textwrap
from importlib.metadata import version

import pytest

from otelctx.native import compiled_floors

COMMANDS = ["demo", "run", "collector", "requests", "story", "policy"]


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=60, check=False
    )


class TestHelp:
    def test_it_lists_every_command_and_teaches_by_examples(self, otelctx):
        done = otelctx("--help")
        assert done.returncode == 0
        for command in COMMANDS:
            assert f"\n  {command} " in done.stdout
        assert "Run your service:  otelctx run uvicorn app:app\n" in done.stdout

    @pytest.mark.parametrize(
        "arguments", [[], *([command] for command in COMMANDS), ["policy", "hash"], ["policy", "explain"]]
    )
    def test_it_fits_80_columns_and_an_ascii_terminal(self, otelctx, arguments):
        done = otelctx(*arguments, "--help", PYTHONIOENCODING="ascii", PYTHONUTF8="0")
        assert (done.returncode, done.stderr) == (0, "")
        assert max(map(len, done.stdout.splitlines())) <= 80
        assert "\x1b" not in done.stdout

    def test_listing_the_commands_imports_none_of_them(self):
        done = python("""
            import sys
            from otelctx.cli.__main__ import main
            sys.argv = ["otelctx", "--help"]
            try:
                main()
            except SystemExit as end:
                print("status", end.code)
            print(sorted({"rich.console", "httpx", "uvicorn", "grpc", "opentelemetry.sdk", "otelctx.cli.story",
                          "otelctx.collector", "otelctx.demo"} & sys.modules.keys()))
        """)
        assert done.stdout.splitlines()[-2:] == ["status 0", "[]"]

    def test_no_command_at_all_is_wrong_usage_and_shows_it(self, otelctx):
        done = otelctx()
        assert done.returncode in (0, 2)  # it depends on the version of typer
        assert "otelctx demo" in done.stdout + done.stderr

    def test_a_misspelt_command_is_wrong_usage_with_a_suggestion(self, otelctx):
        done = otelctx("stroy")
        assert done.returncode == 2
        assert "Did you mean 'story'?" in done.stderr

    def test_version_says_what_runs_compiled(self, otelctx):
        number, floors = version("otelctx"), ", ".join(compiled_floors())

        assert otelctx("--version", OTELCTX_NATIVE="0").stdout == f"otelctx {number} (Python alone)\n"
        if floors:
            assert otelctx("--version").stdout == f"otelctx {number} (compiled: {floors})\n"


class TestMissingExtras:
    @pytest.mark.parametrize(
        ("command", "blocked", "extra"),
        [("story", "httpx", "cli"), ("collector", "uvicorn", "collector"), ("requests", "rich.console", "cli")],
    )
    def test_a_command_whose_packages_are_missing_names_the_extra(self, command, blocked, extra):
        done = python(f"""
            import sys
            sys.modules[{blocked!r}] = None
            from otelctx.cli.__main__ import main
            sys.argv = ["otelctx", {command!r}]
            main()
        """)
        assert done.returncode == 1
        assert done.stderr.count("\n") == 1
        assert f"'otelctx {command}' needs the package '{blocked}'" in done.stderr
        assert f"Install it with: pip install 'otelctx[{extra}]'" in done.stderr

    def test_without_typer_the_command_names_the_extra(self):
        done = python("""
            import sys
            class WithoutTyper:
                @staticmethod
                def find_spec(name, path=None, target=None):
                    if name == "typer":
                        sys.meta_path.clear()
                    return None
            sys.meta_path.insert(0, WithoutTyper)
            from otelctx.cli.__main__ import main
            main()
        """)
        assert done.returncode == 1
        assert done.stderr == (
            "otelctx: the command line is not installed. Install it with: pip install 'otelctx[cli]'\n"
        )

    def test_a_module_of_our_own_that_is_missing_is_a_bug_and_not_an_extra(self):
        done = python("""
            import sys
            sys.modules["otelctx.story"] = None
            from otelctx.cli.__main__ import main
            sys.argv = ["otelctx", "story", "--last"]
            main()
        """)
        assert "ModuleNotFoundError" in done.stderr
        assert "pip install" not in done.stderr
