"""
One run of the demo: start everything, send the requests, show a story.

When it returns or raises, nothing that it started runs any more.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import httpx

from otelctx.demo.arrival import wait_for_stories
from otelctx.demo.presentation import Presentation
from otelctx.demo.stack import Stack, demo_stack
from otelctx.demo.traffic import VISITS, pay_visits
from otelctx.errors import CollectorError, OtelctxError


def run(*, keep: bool, json: bool, collector: str | None, gateway: str | None = None) -> None:
    """
    Run the demo with the options of its command.

    Raises:
        OtelctxError: when something is not as it should be; the message says what.
    """
    with Presentation(as_json=json) as presentation:
        if gateway is not None and (collector is None or keep):
            message = "'--gateway' visits services that run already: it needs '--collector' and keeps nothing"
            raise OtelctxError(message)
        if collector is not None:
            _require_collector(collector)
        if gateway is not None and collector is not None:
            _show(presentation, gateway_url=gateway, collector_url=collector)
            return
        with demo_stack(collector_url=collector, progress=presentation.progress) as stack:
            _show(presentation, gateway_url=stack.gateway_url, collector_url=stack.collector_url, check=stack.check)
            if keep:
                _keep(stack, presentation)
            else:
                presentation.hint()


def _nothing_can_die() -> None:
    return


def _show(
    presentation: Presentation,
    *,
    gateway_url: str,
    collector_url: str,
    check: Callable[[], None] = _nothing_can_die,
) -> None:
    presentation.progress("sending requests of alice and bob")
    answers = pay_visits(VISITS, gateway_url=gateway_url, check=check)
    presentation.progress("waiting for the telemetry")
    stories = wait_for_stories(collector_url, answers, check=check)
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
