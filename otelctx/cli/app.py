"""
The `otelctx` command: its name, its version and the list of its subcommands.

What a subcommand does is in its own module, which only running it imports.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import Annotated

import typer

from otelctx.cli.deferred import Deferred, DeferredGroup
from otelctx.native import compiled_floors


class PolicyCommands(DeferredGroup):
    """The subcommands of `otelctx policy`."""

    deferred = (
        Deferred(
            "explain",
            "Tell what would be sent to a URL, and why.",
            "otelctx.cli.policy_explain:policy_explain",
            "cli",
            group="policy",
        ),
        Deferred(
            "hash",
            "Print what stands for a value that is hashed.",
            "otelctx.cli.policy_hash:policy_hash",
            "cli",
            group="policy",
        ),
    )


policy = typer.Typer(
    name="policy",
    cls=PolicyCommands,
    help="Ask what the configuration lets show and travel.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
policy.callback()(lambda: None)


class Commands(DeferredGroup):
    """The subcommands, in the order that a newcomer needs them."""

    deferred = (
        Deferred("demo", "Start three services and tell the story of a request.", "otelctx.demo.command:demo", "demo"),
        Deferred(
            "run",
            "Run a program instrumented, with no code changed.",
            "otelctx.cli.run:run",
            "otlp",
            usage="[OPTIONS] CMD [ARGS]...",
            settings={"ignore_unknown_options": True, "allow_interspersed_args": False, "allow_extra_args": True},
        ),
        Deferred(
            "collector",
            "Receive and keep OTLP data on this machine.",
            "otelctx.collector.command:collector",
            "collector",
        ),
        Deferred("requests", "List the newest requests.", "otelctx.cli.requests:requests", "cli"),
        Deferred("story", "Tell one request over all its services.", "otelctx.cli.story:story", "cli"),
    )
    groups = (policy,)


app = typer.Typer(
    name="otelctx",
    cls=Commands,
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if not wanted:
        return
    try:
        number = version("otelctx")
    except PackageNotFoundError:
        number = "(not installed)"
    floors = ", ".join(compiled_floors())
    typer.echo(f"otelctx {number} ({f'compiled: {floors}' if floors else 'Python alone'})")
    raise typer.Exit


@app.callback()
def otelctx(
    *,
    show_version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """
    Set user_id once; see it on every log line and span, in every service.

    \b
    See it work:       otelctx demo
    Receive data:      otelctx collector
    Run your service:  otelctx run uvicorn app:app
    See its requests:  otelctx requests
    See one of them:   otelctx story --last
    """  # noqa: D301  (the parser wants the character, not the escape)
