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
    Replace this process by *command*, whose first item is a path, instrumented by OpenTelemetry's own launcher.

    Does not return.

    Raises:
        CommandError: the operating system refuses to run it (status 126).
    """
    from opentelemetry.instrumentation.auto_instrumentation import run as instrument  # noqa: PLC0415  (after check_runtime)

    # It reads sys.argv with argparse: after "--" nothing is taken for an option of its own, a further "--" included.
    sys.argv = ["otelctx run", "--", *command]
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        instrument()
    except OSError as error:
        message = f"cannot run {command[0]}: {error.strerror or error}"
        raise CommandError(message, NOT_EXECUTABLE) from error
