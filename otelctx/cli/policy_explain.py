"""
The `policy explain` command: what would be sent to a URL, field by field, and why.

It shows the destination in the form that rules are compared with, and so no user, password or path of the URL.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from otelctx.cli.failures import USAGE, CommandError
from otelctx.propagation.explanation import Explanation, Verdict, explain
from otelctx.setup import config
from otelctx.setup.environment_variables import is_enabled


def policy_explain(
    *,
    to: Annotated[str, typer.Option(metavar="URL", help="Where it would go; also kafka://TOPIC, process://NAME.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """
    Tell what would be sent to a URL, field by field, and why.

    \b
    otelctx policy explain --to https://api.example.com/x
    otelctx policy explain --to kafka://orders --json | jq -r .decided_by

    The rules and fields are those that this directory's configuration gives; what only code declares is not known here.

    Exit status: 0 told, 2 wrong usage or configuration.
    """  # noqa: D301  (the parser wants the character, not the escape)
    if "://" not in to:
        message = "--to needs a scheme, as in https://api.example.com/x, grpc://orders:50051 or kafka://orders"
        raise CommandError(message, USAGE)
    if not is_enabled(os.environ):
        message = "OTELCTX_ENABLED is false here, so otelctx is off, and what goes out is not its to say"
        raise CommandError(message, USAGE)
    config.apply(config.load(os.environ, Path.cwd()))
    told = explain(to)
    if as_json:
        typer.echo(json.dumps(_as_json(told), indent=2))
    else:
        _render(Console(file=sys.stdout, highlight=False), told)


def _render(console: Console, told: Explanation) -> None:
    facts = Table.grid(padding=(0, 2))
    facts.add_row("to", Text("(not clear)" if told.destination is None else str(told.destination), style="bold"))
    facts.add_row("decided by", Text(told.decided_by))
    console.print(facts)
    console.print()
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for heading in ("", "sent", "in", "why"):
        table.add_column(heading, header_style="dim", overflow="fold")
    table.add_row("trace context", _answer("yes" if told.trace else None), "", "")
    for verdict in told.fields:
        answer = _answer(verdict.form and ("yes" if verdict.form == "clear" else verdict.form))
        table.add_row(Text(verdict.field), answer, Text("\n".join(verdict.headers)), Text(verdict.why, style="dim"))
    table.add_row("other baggage", _answer("yes" if told.undeclared else None), "", "")
    console.print(table)


def _answer(said: str | None) -> Text:
    return Text("no", style="dim") if said is None else Text(said, style="green" if said == "yes" else "yellow")


def _as_json(told: Explanation) -> dict[str, Any]:
    place = told.destination
    return {
        "destination": None if place is None else {"url": str(place), "host": place.host, "port": place.port},
        "decided_by": told.decided_by,
        "trace": told.trace,
        "fields": [_field_as_json(verdict) for verdict in told.fields],
        "other_baggage": told.undeclared,
    }


def _field_as_json(verdict: Verdict) -> dict[str, Any]:
    return {
        "name": verdict.field,
        "sent": verdict.form is not None,
        "form": verdict.form,
        "headers": [*verdict.headers],
        "why": verdict.why,
    }
