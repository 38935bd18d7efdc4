"""
The `requests` command: the newest requests that the local collector has.

The request id is always shown whole, so that it can be copied into `otelctx story`.
"""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer
from rich.console import Console

from otelctx.cli.collector_client import DEFAULT_URL, URL_VARIABLE, CollectorClient
from otelctx.cli.failures import NO_MATCH, CommandError
from otelctx.cli.request_list import render_requests
from otelctx.story.records import as_list, as_mapping


def requests(
    *,
    user_id: Annotated[str | None, typer.Option(metavar="ID", help="Only those of this user.")] = None,
    service: Annotated[str | None, typer.Option(metavar="NAME", help="Only those that went through it.")] = None,
    limit: Annotated[int, typer.Option(metavar="N", min=1, max=1000, help="At most so many.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Print them as JSON.")] = False,
    collector: Annotated[
        str, typer.Option(metavar="URL", envvar=URL_VARIABLE, help="The collector to ask.")
    ] = DEFAULT_URL,
) -> None:
    """
    List the newest requests.

    \b
    otelctx requests
    otelctx requests --user-id alice --limit 5
    otelctx requests --json | jq -r '.requests[0].request_id'

    Exit status: 0 listed, 1 nothing matches, 2 wrong usage, 3 no collector answers.
    """  # noqa: D301  (the parser wants the character, not the escape)
    wanted = {"user_id": user_id, "service": service, "limit": str(limit)}
    answer = CollectorClient(collector).requests({name: value for name, value in wanted.items() if value})
    summaries = [as_mapping(summary) for summary in as_list(answer.get("requests"))]
    if as_json:
        typer.echo(json.dumps(answer, indent=2))
    elif summaries:
        render_requests(Console(file=sys.stdout, highlight=False), summaries)
    if not summaries:
        message = (
            f"The collector at {collector} has no such request. Start a service with 'otelctx run CMD' and call it."
        )
        raise CommandError(message, NO_MATCH)
