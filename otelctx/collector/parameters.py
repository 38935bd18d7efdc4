"""
Query parameters: what a reader of the store may ask for, checked.

A parameter that is unknown, empty or wrong is an error that names it; none is guessed.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from otelctx.collector.values import moment

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_LIMIT = 100
MAX_LIMIT = 1_000
NANOSECONDS = 10**9
QUOTED = 40

RECORD_PARAMETERS = ("request_id", "user_id", "trace_id", "service", "since", "until", "limit")
METRIC_PARAMETERS = ("service", "name", "since", "until", "limit")
STORY_PARAMETERS = ("request_id", "user_id", "trace_id", "last")


class ParameterError(ValueError):
    """A parameter is wrong; the message says which and what was expected."""


@dataclass(frozen=True)
class Filter:
    """
    What to look for; None means anything.

    Attributes:
        request_id: Exact request id.
        user_id: Exact user id.
        trace_id: 16 bytes.
        service: Exact service name.
        name: Exact metric name.
        since: Earliest time, nanoseconds since the epoch, included.
        until: Latest time, excluded.
        limit: How many, at most.
    """

    request_id: str | None = None
    user_id: str | None = None
    trace_id: bytes | None = None
    service: str | None = None
    name: str | None = None
    since: int | None = None
    until: int | None = None
    limit: int = DEFAULT_LIMIT


def read_filter(query: Mapping[str, str], allowed: tuple[str, ...]) -> Filter:
    """
    Read the *allowed* parameters of *query*.

    Raises:
        ParameterError: for any that is not allowed, empty or malformed.
    """
    check_names(query, allowed)
    trace_id, since, until, limit = (query.get(name) for name in ("trace_id", "since", "until", "limit"))
    return Filter(
        request_id=query.get("request_id"),
        user_id=query.get("user_id"),
        trace_id=None if trace_id is None else parse_trace_id(trace_id),
        service=query.get("service"),
        name=query.get("name"),
        since=None if since is None else parse_time("since", since),
        until=None if until is None else parse_time("until", until),
        limit=DEFAULT_LIMIT if limit is None else parse_limit(limit),
    )


def read_story_filter(query: Mapping[str, str]) -> Filter:
    """
    Read which one story *query* asks for; ``last=1`` is a filter of nothing.

    Raises:
        ParameterError: unless exactly one of the story's parameters is there and right.
    """
    check_names(query, STORY_PARAMETERS)
    if len(query) != 1:
        msg = f"{len(query)} parameters given; give exactly one of {', '.join(STORY_PARAMETERS)}"
        raise ParameterError(msg)
    if "last" in query and query["last"] != "1":
        msg = f"last is {shorten(query['last'])}; write last=1"
        raise ParameterError(msg)
    return read_filter({key: value for key, value in query.items() if key != "last"}, STORY_PARAMETERS)


def check_names(query: Mapping[str, str], allowed: tuple[str, ...]) -> None:
    """Raise ParameterError for a name that is not *allowed* or has no value."""
    for name, value in query.items():
        if name not in allowed:
            near = difflib.get_close_matches(name[:50], allowed, n=1)
            advice = f"did you mean {near[0]!r}?" if near else f"use {', '.join(allowed)}"
            msg = f"{shorten(name)} is not a parameter here; {advice}"
            raise ParameterError(msg)
        if not value:
            msg = f"{name} is empty; leave it out or give a value"
            raise ParameterError(msg)


def parse_trace_id(text: str) -> bytes:
    """Read 32 hex digits."""
    if not re.fullmatch(r"[0-9a-fA-F]{32}", text):
        msg = f"trace_id is {shorten(text)}; give 32 hex digits"
        raise ParameterError(msg)
    return bytes.fromhex(text)


def parse_limit(text: str) -> int:
    """Read a limit from 1 to MAX_LIMIT."""
    if not re.fullmatch(r"[0-9]{1,6}", text) or not 1 <= int(text) <= MAX_LIMIT:
        msg = f"limit is {shorten(text)}; give a number from 1 to {MAX_LIMIT}"
        raise ParameterError(msg)
    return int(text)


def parse_time(name: str, text: str) -> int:
    """
    Read nanoseconds since the epoch, or ISO 8601 (UTC where it names no offset).

    A time that no record can have is the nearest one that it can.

    >>> parse_time("since", "1970-01-01T00:00:01Z")
    1000000000
    >>> parse_time("since", "0001-01-01T00:00:00Z")
    0
    """
    if re.fullmatch(r"[0-9]{1,20}", text):
        return moment(int(text))
    # In a query string an unescaped "+" of an offset arrives as a space; and Python 3.10 does not know "Z".
    iso = re.sub(r" (?=\d\d:?\d\d$)", "+", text) if "T" in text else text
    try:
        read = datetime.fromisoformat(re.sub(r"[zZ]$", "+00:00", iso))
    except ValueError:
        msg = f"{name} is {shorten(text)}; give nanoseconds since the epoch or ISO 8601, such as 2026-01-31T12:00:00Z"
        raise ParameterError(msg) from None
    if read.tzinfo is None:
        read = read.replace(tzinfo=timezone.utc)
    since_epoch = read - datetime(1970, 1, 1, tzinfo=timezone.utc)
    whole_seconds = since_epoch.days * 86_400 + since_epoch.seconds
    return moment(max(0, whole_seconds * NANOSECONDS + since_epoch.microseconds * 1_000))


def shorten(text: str) -> str:
    """Quote *text*, or its start if it is long."""
    return repr(text if len(text) <= QUOTED else f"{text[:QUOTED]}…")
