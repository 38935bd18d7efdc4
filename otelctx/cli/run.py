"""
The `run` command: any Python program with tracing, logs and fields, with no code changed.

What the environment says stays; only an option of this command overrides it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from otelctx.cli.failures import USAGE, CommandError
from otelctx.cli.launch import check_runtime, launch, resolve_command
from otelctx.setup.config_files import read_files
from otelctx.setup.config_variables import read_variables
from otelctx.setup.environment_variables import is_enabled

_DEFAULTS = {"OTEL_PYTHON_DISTRO": "otelctx", "OTEL_PYTHON_CONFIGURATOR": "otelctx"}


def run(
    ctx: typer.Context,
    *,
    service_name: Annotated[
        str | None, typer.Option(metavar="NAME", help="The service's name (OTEL_SERVICE_NAME).")
    ] = None,
    endpoint: Annotated[
        str | None, typer.Option(metavar="URL", help="Where to send OTLP (OTEL_EXPORTER_OTLP_ENDPOINT).")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Declares fields and policy (OTELCTX_CONFIG).")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Refuse undeclared fields (OTELCTX_STRICT).")] = False,
) -> None:
    """
    Run a program with tracing, logs and fields, with no code changed.

    The program replaces this process: same process id, same signals, its own exit status. Options go before CMD; all
    that follows CMD belongs to it. Every OTEL_ and OTELCTX_ variable that is set stays as it is.

    \b
    otelctx run uvicorn app:app --port 8000
    otelctx run --service-name orders gunicorn -w 4 orders.wsgi
    otelctx run app.py
    otelctx run -m orders.worker

    Exit status: the program's own; 126 it cannot be executed, 127 it is not found, 2 wrong usage or configuration.
    """  # noqa: D301  (the parser wants the character, not the escape)
    command = ctx.args
    if not command:
        ctx.fail("Missing CMD, the program to run.")
    if command[0].startswith("-") and command[0] != "-m":
        ctx.fail(f"No such option: {command[0]}")
    if command == ["-m"]:
        ctx.fail("-m needs the name of a module.")
    if config is not None and not config.is_file():
        message = f"--config: there is no file '{config}'"
        raise CommandError(message, USAGE)
    check_runtime()
    resolved = resolve_command(command)
    options = {
        "OTEL_SERVICE_NAME": service_name,
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
        "OTELCTX_CONFIG": str(config.absolute()) if config is not None else None,
        "OTELCTX_STRICT": "true" if strict else None,
    }
    for name, value in _DEFAULTS.items():
        os.environ.setdefault(name, value)
    os.environ.update({name: value for name, value in options.items() if value is not None})
    _check_configuration()
    launch(resolved)


def _check_configuration() -> None:
    # In the program itself a wrong configuration is a line in its log, since instrumentation must not end it. Here
    # somebody is watching, and nothing runs yet.
    if not is_enabled(os.environ):
        return
    problems: list[str] = []
    if [*read_files(os.environ, Path.cwd(), problems), *read_variables(os.environ, problems)] or problems:
        from otelctx.setup.config import load  # noqa: PLC0415 - what it checks with is for those who have configured

        load(os.environ, Path.cwd())
