"""
The launch: which program a command line means, and handing this process over to it.

The program replaces this process, so it keeps the process id and gets every signal itself.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from otelctx.cli.failures import NOT_EXECUTABLE, NOT_FOUND, CommandError, MissingExtraError


def resolve_command(command: Sequence[str]) -> list[str]:
    """
    Return *command* with the path of its program first.

    `-m module` and `script.py` run in this Python. Everything else is looked up beside this Python, then in PATH: a
    program of another environment would not find what instruments it.

    Raises:
        CommandError: there is no such program (status 127), or it may not be executed (126).
    """
    name, *arguments = command
    if name == "-m":
        return [sys.executable, *command]
    if name.endswith(".py"):
        if Path(name).is_file():
            return [sys.executable, *command]
        message = f"file not found: {name}"
        raise CommandError(message, NOT_FOUND)
    # A link to the interpreter must not be followed: the environment is where the link is.
    beside_python = str(Path(sys.executable).parent)
    program = shutil.which(name, path=beside_python) or shutil.which(name)
    if program is not None:
        return [program, *arguments]
    if os.path.dirname(name) and Path(name).exists():  # noqa: PTH120  (pathlib drops the "./" that makes it a path)
        reason = "is a directory" if Path(name).is_dir() else "is not executable"
        message = f"cannot run {name}: it {reason}"
        raise CommandError(message, NOT_EXECUTABLE)
    message = f"command not found: {name}"
    raise CommandError(message, NOT_FOUND)


def check_runtime() -> None:
    """
    Make sure that the program can be instrumented.

    Raises:
        MissingExtraError: the extra `otlp` is not installed.
    """
    for module in ("opentelemetry.instrumentation", "opentelemetry.sdk"):
        if find_spec(module) is None:
            raise MissingExtraError(command="run", extra="otlp", module=module)


def launch(command: Sequence[str]) -> None:
    """
    Replace this process by *command*, whose first item is a path, instrumented as ``opentelemetry-instrument`` does it.

    Python runs the module ``sitecustomize`` that it finds first; OpenTelemetry's sets it up. That launcher itself is
    not called: it asks all packages for options that a command line might have, and here there are none.

    Does not return.

    Raises:
        CommandError: the operating system refuses to run it (status 126).
    """
    os.environ["PYTHONPATH"] = os.pathsep.join(_python_path())
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        os.execv(command[0], [*command])  # noqa: S606 - what the user asked for, and no shell
    except OSError as error:
        message = f"cannot run {command[0]}: {error.strerror or error}"
        raise CommandError(message, NOT_EXECUTABLE) from error


def _python_path() -> list[str]:
    """Return where the program's modules are found: the set-up, the working directory, and what was there."""
    spec = find_spec("opentelemetry.instrumentation.auto_instrumentation")
    set_up = [*(spec.submodule_search_locations or ())] if spec is not None else []
    given = os.environ.get("PYTHONPATH", "").split(os.pathsep) if os.environ.get("PYTHONPATH") else []
    # A program that has a file of its own, such as gunicorn, finds no modules in the working directory by itself.
    here = str(Path.cwd())
    return [*set_up, *([] if here in given else [here]), *(path for path in given if path not in set_up)]
