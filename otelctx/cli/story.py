"""
The `story` command: one request over all its services.

It prints a story or says on stderr why there is none; stdout never has anything else.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from otelctx.cli.collector_client import DEFAULT_URL, URL_VARIABLE, CollectorClient
from otelctx.cli.failures import NO_MATCH, CommandError
from otelctx.story.assembly import assemble
from otelctx.story.rendering import render_story, render_svg
from otelctx.story.safe_text import clean_line
from otelctx.story.serialisation import story_json


def story(
    ctx: typer.Context,
    *,
    request_id: Annotated[str | None, typer.Option(metavar="ID", help="The request with this id.")] = None,
    user_id: Annotated[str | None, typer.Option(metavar="ID", help="The newest request of this user.")] = None,
    trace_id: Annotated[str | None, typer.Option(metavar="ID", help="The request of this trace.")] = None,
    last: Annotated[bool, typer.Option("--last", help="The newest request.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON, with origins and notes.")] = False,
    svg: Annotated[Path | None, typer.Option(metavar="FILE", help="Write it as a picture to FILE.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Leave nothing out of long stories and messages.")] = False,
    wait: Annotated[
        float,
        typer.Option(
            metavar="SECONDS", min=0, show_default=False, help="Wait until it has arrived, at most that long."
        ),
    ] = 0.0,
    collector: Annotated[
        str, typer.Option(metavar="URL", envvar=URL_VARIABLE, help="The collector to ask.")
    ] = DEFAULT_URL,
) -> None:
    """
    Tell one request over all its services.

    Shows its spans as a waterfall, each log line under its span, where each field came from, and what is missing.

    \b
    otelctx story --last
    otelctx story --request-id 0190b5c4-7c1a-7c4e-9f0e-3c9d5b2a7e10 --all
    otelctx story --user-id alice --json | jq .notes
    otelctx story --last --wait 10 --svg story.svg

    Exit status: 0 told, 1 nothing matches, 2 wrong usage, 3 no collector answers.
    """  # noqa: D301  (the parser wants the character, not the escape)
    selectors = {"request_id": request_id, "user_id": user_id, "trace_id": trace_id, "last": "1" if last else None}
    chosen = {name: value for name, value in selectors.items() if value}
    if len(chosen) != 1:
        ctx.fail("Name the request by exactly one of --request-id, --user-id, --trace-id and --last.")
    answer = CollectorClient(collector).story(chosen, wait)
    if answer is None:
        raise CommandError(_nothing_matches(chosen, collector), NO_MATCH)
    told = assemble(answer)
    if svg is not None:
        _write(svg, render_svg(told, everything=everything))
    if as_json:
        typer.echo(json.dumps(story_json(answer, told), indent=2))
    elif svg is None:
        render_story(Console(file=sys.stdout, highlight=False), told, everything=everything)


def _nothing_matches(selector: dict[str, str], collector: str) -> str:
    ((name, value),) = selector.items()
    what = "yet" if name == "last" else f"of the {name.replace('_', ' ')} '{clean_line(value)[:80]}'"
    return (
        f"The collector at {collector} has no request {what}.\n"
        "  otelctx requests     lists what it has\n"
        "  --wait 10            waits: services export some seconds after a request\n"
        "  otelctx run CMD      runs a service so that it exports to a local collector"
    )


def _write(path: Path, content: str) -> None:
    try:
        path.write_text(content, encoding="utf-8")
    except OSError as error:
        message = f"Cannot write '{path}': {error.strerror or error}"
        raise CommandError(message) from error
