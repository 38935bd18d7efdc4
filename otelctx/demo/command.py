"""
The command `otelctx demo`.

It ends by itself with status 0, or says what went wrong; in either case, and on any signal, nothing is left running.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Annotated

import httpx
import typer

from otelctx.demo.arrival import wait_for_stories
from otelctx.demo.presentation import Presentation
from otelctx.demo.stack import Stack, demo_stack
from otelctx.demo.traffic import VISITS, pay_visits
from otelctx.errors import CollectorError

_INTERRUPTED = 128 + signal.SIGINT


def demo(
    *,
    keep: Annotated[bool, typer.Option("--keep", help="Leave everything running until Ctrl-C.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print requests and story as JSON.")] = False,
    collector: Annotated[
        str | None, typer.Option(metavar="URL", help="Use this collector instead of starting one.")
    ] = None,
) -> None:
    """Start three services and a collector, send requests and show what happened to one of them."""
    presentation = Presentation(as_json=json)
    try:
        with _ended_by_signals(), presentation:
            if collector is not None:
                _require_collector(collector)
            with demo_stack(collector_url=collector, progress=presentation.progress) as stack:
                _show(stack, presentation)
                if keep:
                    _keep(stack, presentation)
                else:
                    presentation.hint()
    except KeyboardInterrupt:
        raise typer.Exit(_INTERRUPTED) from None


def _show(stack: Stack, presentation: Presentation) -> None:
    presentation.progress("sending requests of alice and bob")
    answers = pay_visits(VISITS, gateway_url=stack.gateway_url, check=stack.check)
    presentation.progress("waiting for the telemetry")
    stories = wait_for_stories(stack.collector_url, answers, check=stack.check)
    presentation.show(answers, stories[answers[0].request_id])


def _keep(stack: Stack, presentation: Presentation) -> None:
    """Wait for Ctrl-C, which is the proper end here, or for the end of a service, which is not."""
    presentation.invite(stack)
    try:
        while True:
            stack.check()
            time.sleep(0.2)
    except KeyboardInterrupt:
        return


def _require_collector(url: str) -> None:
    try:
        healthy = httpx.get(f"{url.rstrip('/')}/healthz", timeout=5, trust_env=False).is_success
    except (httpx.HTTPError, httpx.InvalidURL):
        healthy = False
    if not healthy:
        message = f"No collector answers at {url}; start one with 'otelctx collector', or leave '--collector' out"
        raise CollectorError(message)


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
