"""
The wait until the collector has a whole request.

A request is whole when every log line that it must leave is there, and one of each service at least; every span that
another one names as its parent, and the server span of every call: all that the demo calls is instrumented, and logs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence

import httpx

from otelctx.demo.readiness import wait_until
from otelctx.demo.traffic import Answer
from otelctx.errors import OtelctxError
from otelctx.story.records import Attributes, check_story, read_logs, read_spans


class NotArrivedError(OtelctxError):
    """The collector lacks a part of a request."""


def wait_for_stories(
    collector_url: str, answers: Sequence[Answer], *, check: Callable[[], None], patience: float = 15.0
) -> dict[str, Attributes]:
    """
    Return the story of each of *answers* by its request id, when all are whole.

    *check* is called while waiting and raises when a service has died.

    Raises:
        NotArrivedError: when one is not whole after *patience* seconds; the message says what is missing.
    """
    stories: dict[str, Attributes] = {}
    missing: dict[str, set[str]] = {}
    with httpx.Client(base_url=collector_url, timeout=10, trust_env=False) as client:

        def all_whole() -> bool:
            for answer in answers:
                if answer.request_id in stories:
                    continue
                story = _fetch(client, answer.request_id)
                lacking = {"everything"} if story is None else missing_from(story, answer.visit.leaves)
                if story is None or lacking:
                    missing[answer.request_id] = lacking
                else:
                    stories[answer.request_id] = story
            return len(stories) == len(answers)

        if not wait_until(all_whole, check=check, deadline=time.monotonic() + patience):
            lines = "\n".join(
                f"  {request_id}: {', '.join(sorted(lacking))}"
                for request_id, lacking in missing.items()
                if request_id not in stories
            )
            message = f"After {patience:.0f} s the collector at {collector_url} still lacks:\n{lines}"
            raise NotArrivedError(message)
    return stories


def missing_from(story: Attributes, leaves: Collection[tuple[str, str]]) -> set[str]:
    """Return in words what *story* lacks: log lines, any of a service, parents of spans, server spans of calls."""
    logs = [(log.service, log.body) for log in read_logs(story)]
    spans = read_spans(story)
    keys = {span.key for span in spans}
    served = {(span.trace_id, span.parent_id) for span in spans if span.kind == "server"}
    return {
        *(
            f"the log line of {service} with {text!r}"
            for service, text in leaves
            if not any(service == by and text in body for by, body in logs)
        ),
        *(f"any log line of {service}" for service in {span.service for span in spans} - {by for by, _ in logs}),
        *(
            f"the parent of span {span.name!r}"
            for span in spans
            if span.parent_id and (span.trace_id, span.parent_id) not in keys
        ),
        *(
            f"the server span of the call {span.name!r} of {span.service}"
            for span in spans
            if span.kind == "client" and span.key not in served
        ),
        *(() if any(span.parent_id is None for span in spans) else ("the first span",)),
    }


def _fetch(client: httpx.Client, request_id: str) -> Attributes | None:
    """Return the story of *request_id*; None while the collector has nothing of it or is too busy to say."""
    try:
        response = client.get("/api/story", params={"request_id": request_id})
        return check_story(response.json()) if response.is_success else None
    except httpx.TransportError:
        return None
