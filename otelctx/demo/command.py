"""
The command `otelctx demo`.

It ends by itself with status 0, or says what went wrong; in either case, and on any signal, nothing is left running.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Annotated

import typer

_INTERRUPTED = 128 + signal.SIGINT


def demo(
    *,
    keep: Annotated[bool, typer.Option("--keep", help="Leave everything running until Ctrl-C.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print requests and story as JSON.")] = False,
    collector: Annotated[
        str | None, typer.Option(metavar="URL", help="Use this collector instead of starting one.")
    ] = None,
    gateway: Annotated[
        str | None, typer.Option(metavar="URL", help="Visit this gateway instead of starting services.")
    ] = None,
) -> None:
    """Start three services and a collector, send requests and show what happened to one of them."""
    try:
        with _ended_by_signals():
            # Loading it takes as long as a quick Ctrl-C, which is to be answered too.
            from otelctx.demo.session import run  # noqa: PLC0415

            run(keep=keep, json=json, collector=collector, gateway=gateway)
    except KeyboardInterrupt:
        typer.echo("demo: interrupted, everything is stopped", err=True)
        raise typer.Exit(_INTERRUPTED) from None


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Turn the signals that would end the process at once into an orderly exit."""

    def end(number: int, _: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
