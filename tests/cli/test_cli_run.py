from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from otelctx.cli.failures import CommandError
from otelctx.cli.launch import resolve_command

REPORT = """
import json, os, sys
names = ("OTEL_PYTHON_DISTRO", "OTEL_PYTHON_CONFIGURATOR", "OTEL_SERVICE_NAME", "OTEL_EXPORTER_OTLP_ENDPOINT",
         "OTELCTX_CONFIG", "OTELCTX_STRICT")
print(json.dumps({"args": sys.argv[1:], "pid": os.getpid(), "python": sys.executable, "name": __name__,
                  "env": {name: os.environ.get(name) for name in names}, "path": os.environ["PYTHONPATH"]}))
"""
QUIET = {"OTEL_SDK_DISABLED": "true", "OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "none"}


@pytest.fixture
def script(tmp_path) -> Path:
    path = tmp_path / "report.py"
    path.write_text(REPORT)
    return path


def executable(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o755)
    return path


class TestRun:
    def test_a_python_file_runs_in_this_python_with_its_arguments_untouched(self, otelctx, script):
        arguments = ["--help", "--version", "--", "-x", "--strict", "a b", ""]
        done = otelctx("run", str(script), *arguments, **QUIET)
        report = json.loads(done.stdout)
        assert report["args"] == arguments
        assert report["python"] == sys.executable
        assert report["env"] | {"OTEL_SERVICE_NAME": None} == {
            "OTEL_PYTHON_DISTRO": "otelctx",
            "OTEL_PYTHON_CONFIGURATOR": "otelctx",
            "OTEL_SERVICE_NAME": None,
            "OTEL_EXPORTER_OTLP_ENDPOINT": None,
            "OTELCTX_CONFIG": None,
            "OTELCTX_STRICT": None,
        }
        assert "auto_instrumentation" in report["path"]

    def test_a_module_runs_in_this_python(self, otelctx, script):
        done = otelctx("run", "-m", "report", "--help", "-m", PYTHONPATH=f"{script.parent}:{Path.cwd()}", **QUIET)
        report = json.loads(done.stdout)
        assert (report["args"], report["name"]) == (["--help", "-m"], "__main__")

    @pytest.mark.parametrize("separator", [[], ["--"]])
    def test_a_program_of_the_path_gets_every_argument(self, otelctx, tmp_path, separator):
        executable(tmp_path / "show", '#!/bin/sh\nfor argument; do echo "[$argument]"; done\n')
        done = otelctx("run", *separator, "show", "--", "--help", "*", PATH=f"{tmp_path}:{os.environ['PATH']}")
        assert (done.returncode, done.stdout) == (0, "[--]\n[--help]\n[*]\n")

    def test_options_override_the_environment_and_the_environment_the_defaults(self, otelctx, script, tmp_path):
        config = tmp_path / "otelctx.toml"
        config.write_text("")
        options = ["--service-name", "orders", "--endpoint", "http://127.0.0.1:9", "--config", str(config), "--strict"]
        environment = {"OTEL_SERVICE_NAME": "env", "OTEL_EXPORTER_OTLP_ENDPOINT": "env", "OTEL_PYTHON_DISTRO": "mine"}
        report = json.loads(otelctx("run", *options, str(script), **environment, **QUIET).stdout)
        assert report["env"] == {
            "OTEL_PYTHON_DISTRO": "mine",
            "OTEL_PYTHON_CONFIGURATOR": "otelctx",
            "OTEL_SERVICE_NAME": "orders",
            "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9",
            "OTELCTX_CONFIG": str(config),
            "OTELCTX_STRICT": "true",
        }

    def test_the_program_keeps_the_process_and_gets_its_signals(self, tmp_path):
        program = executable(
            tmp_path / "wait", "#!/bin/sh\ntrap 'echo stopped; exit 7' TERM\necho $$\nwhile :; do sleep 0.05; done\n"
        )
        command = [sys.executable, "-m", "otelctx.cli", "run", str(program)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert int(process.stdout.readline()) == process.pid
            process.send_signal(signal.SIGTERM)
            assert process.communicate(timeout=30)[0] == "stopped\n"
            assert process.returncode == 7

    def test_its_exit_status_is_the_programs_own(self, otelctx, tmp_path):
        assert otelctx("run", str(executable(tmp_path / "fail", "#!/bin/sh\nexit 42\n"))).returncode == 42

    @pytest.mark.parametrize(
        ("arguments", "status", "message"),
        [
            (["no-such-program", "--help"], 127, "otelctx: command not found: no-such-program\n"),
            (["./no/such"], 127, "otelctx: command not found: ./no/such\n"),
            (["no-such.py"], 127, "otelctx: file not found: no-such.py\n"),
            (["/"], 126, "otelctx: cannot run /: it is a directory\n"),
            ([__file__.removesuffix(".py") + "_x"], 127, None),
            ([], 2, None),
            (["-m"], 2, None),
            (["--servce-name", "x", "y"], 2, None),
            (["--config", "/no/such.toml", "true"], 2, "otelctx: --config: there is no file '/no/such.toml'\n"),
        ],
    )
    def test_what_cannot_be_run_is_one_clean_error(self, otelctx, arguments, status, message):
        done = otelctx("run", *arguments)
        assert (done.returncode, done.stdout) == (status, "")
        assert "Traceback" not in done.stderr
        if message is not None:
            assert done.stderr == message

    def test_a_file_that_is_not_executable_is_status_126(self, otelctx, tmp_path):
        (tmp_path / "plain").write_text("text")
        done = otelctx("run", str(tmp_path / "plain"))
        assert (done.returncode, done.stderr) == (
            126,
            f"otelctx: cannot run {tmp_path / 'plain'}: it is not executable\n",
        )

    def test_a_program_that_the_system_refuses_is_status_126(self, otelctx, tmp_path):
        done = otelctx("run", str(executable(tmp_path / "bad", "#!/no/such/interpreter\n")))
        assert (done.returncode, done.stderr.count("\n")) == (126, 1)

    def test_its_help_is_shown_only_before_the_program(self, otelctx):
        assert "Usage: otelctx run [OPTIONS] CMD [ARGS]..." in otelctx("run", "--help").stdout

    def test_without_the_otlp_extra_it_names_the_extra(self):
        code = (
            "import sys; sys.modules['opentelemetry.sdk'] = None\n"
            "from otelctx.cli.__main__ import main; sys.argv = ['otelctx', 'run', 'true']; main()"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 1
        assert done.stderr == (
            "otelctx: 'otelctx run' needs the package 'opentelemetry.sdk', which is not installed. "
            "Install it with: pip install 'otelctx[otlp]'\n"
        )


class TestAWrongConfiguration:
    @pytest.mark.parametrize("source", ["--config", "OTELCTX_CONFIG", "OTELCTX_STRICT", "the project"])
    def test_is_an_error_before_the_program_runs(self, otelctx, tmp_path, monkeypatch, source):
        monkeypatch.chdir(tmp_path)
        wrong = tmp_path / ("pyproject.toml" if source == "the project" else "wrong.toml")
        wrong.write_text("[tool.otelctx]\nstrit = true" if source == "the project" else "[otelctx]\nstrit = true")
        environment = {"OTELCTX_CONFIG": str(wrong), "OTELCTX_STRICT": "perhaps"}
        done = otelctx(
            *("run", *(("--config", str(wrong)) if source == "--config" else ()), "echo", "ran"),
            **{name: value for name, value in environment.items() if name == source},
        )
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith(f"otelctx: {source if source == 'OTELCTX_STRICT' else wrong}: ")
        assert "Traceback" not in done.stderr

    def test_is_none_when_otelctx_is_switched_off(self, otelctx):
        done = otelctx("run", "echo", "ran", OTELCTX_ENABLED="false", OTELCTX_STRICT="perhaps")
        assert (done.returncode, done.stdout, done.stderr) == (0, "ran\n", "")

    def test_is_a_line_and_not_the_end_of_a_program_under_opentelemetrys_own_launcher(self, tmp_path):
        (tmp_path / "script.py").write_text("print('ran')")
        done = subprocess.run(
            [str(Path(sys.executable).parent / "opentelemetry-instrument"), sys.executable, "script.py"],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            cwd=tmp_path,
            env={**os.environ, **QUIET, "OTELCTX_STRICT": "perhaps", "OTEL_LOGS_EXPORTER": "none"},
        )
        assert (done.returncode, done.stdout) == (0, "ran\n")
        assert "OTELCTX_STRICT" in done.stderr


class TestResolveCommand:
    def test_programs_beside_this_python_are_found_although_its_environment_is_not_activated(self, monkeypatch):
        monkeypatch.setenv("PATH", "/nowhere")
        assert resolve_command(["python", "-c", "1"]) == [str(Path(sys.executable).parent / "python"), "-c", "1"]

    def test_they_come_before_programs_of_other_environments(self, monkeypatch, tmp_path):
        executable(tmp_path / "python", "#!/bin/sh\n")
        monkeypatch.setenv("PATH", str(tmp_path))
        assert resolve_command(["python"]) == [str(Path(sys.executable).parent / "python")]

    def test_others_are_found_in_the_path(self, monkeypatch, tmp_path):
        mine = executable(tmp_path / "shop", "#!/bin/sh\n")
        monkeypatch.setenv("PATH", str(tmp_path))
        assert resolve_command(["shop"]) == [str(mine)]

    def test_a_directory_named_like_a_python_file_is_not_run(self, tmp_path):
        (tmp_path / "x.py").mkdir()
        with pytest.raises(CommandError, match="file not found"):
            resolve_command([str(tmp_path / "x.py")])
