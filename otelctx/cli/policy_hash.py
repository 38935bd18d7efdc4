"""
The `policy hash` command: what stands in telemetry for a value that is hashed, so that one can search for it.

The value is best typed or piped: an argument is in the shell's history and in the list of processes.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from otelctx.cli.failures import USAGE, CommandError
from otelctx.core.redaction import HashKey
from otelctx.core.registry import BUILT_IN
from otelctx.core.values import wire_text
from otelctx.setup import config
from otelctx.setup.environment_variables import OTELCTX_REDACTION_KEY


def policy_hash(
    value: Annotated[str | None, typer.Argument(help="The value; without it, it is asked for or read.")] = None,
    *,
    field: Annotated[str, typer.Option(metavar="NAME", help="The field that it is a value of.")],
) -> None:
    """
    Print the hash of a value under each key, the one in use first.

    \b
    otelctx policy hash --field user_id
    cut -d, -f1 users.csv | head -1 | otelctx policy hash --field user_id
    otelctx requests --user-id "$(otelctx policy hash --field user_id | head -1)"

    The keys are those that this directory's configuration names.

    Exit status: 0 printed, 2 wrong usage or configuration.
    """  # noqa: D301  (the parser wants the character, not the escape)
    settings = config.load(os.environ, Path.cwd())
    if not settings.redaction_keys:
        message = f"No key is configured. Give [otelctx.redaction] key_file, or the key in {OTELCTX_REDACTION_KEY}"
        raise CommandError(message, USAGE)
    text = _asked_for() if value is None else value
    declared = {known.name: known for known in (*BUILT_IN, *settings.fields)}.get(field)
    if declared is not None:
        accepted = declared.accept(text)
        if accepted is None:
            raise CommandError(f"The value does not fit the declaration of field {field!r}", USAGE)
        text = wire_text(accepted)
    for secret in settings.redaction_keys:
        typer.echo(HashKey(secret).hash(field, text))


def _asked_for() -> str:
    if sys.stdin.isatty():
        return str(typer.prompt("Value", hide_input=True, err=True))
    text = sys.stdin.readline().rstrip("\r\n")
    if not text:
        raise CommandError("There is no value: type it when asked for, or pipe it in", USAGE)
    return text
