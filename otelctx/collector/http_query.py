"""
The query interface over HTTP: ``/healthz`` and ``/api``.

Every query runs in a thread with a connection of its own that cannot write, so none waits for or blocks the intake.
The contract is docs/query-api.md.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING, TypeAlias

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from otelctx.collector import queries, stories
from otelctx.collector.parameters import (
    METRIC_PARAMETERS,
    RECORD_PARAMETERS,
    ParameterError,
    check_names,
    read_filter,
    read_story_filter,
)
from otelctx.collector.schema import open_for_reading

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from starlette.requests import Request

    from otelctx.collector.counters import Counters
    from otelctx.collector.intake import Intake
    from otelctx.collector.parameters import Filter

Answer: TypeAlias = "Callable[[sqlite3.Connection, Mapping[str, str]], object]"

CONCURRENT_QUERIES = 2
QUERY_SECONDS = 5.0
STEPS_BETWEEN_LOOKS_AT_THE_CLOCK = 20_000
COUNTER_GROUPS = ("accepted", "duplicates", "rejected", "refused", "dropped_by_retention", "forward", "store")


class QueryInterface:
    """The reading routes over one store."""

    def __init__(self, path: Path, intake: Intake, counters: Counters) -> None:
        """Read from the store's file at *path*; *intake* and *counters* tell about the collector's health."""
        self._path = path
        self._intake = intake
        self._counters = counters
        self._threads = ThreadPoolExecutor(CONCURRENT_QUERIES, "otelctx-collector-query")

    def routes(self) -> list[Route]:
        """Give the routes."""
        answers: dict[str, Answer] = {
            "story": answer_story,
            "requests": lister("requests", stories.summaries, RECORD_PARAMETERS),
            "spans": lister("spans", queries.spans, RECORD_PARAMETERS),
            "logs": lister("logs", queries.logs, RECORD_PARAMETERS),
            "metrics": lister("metrics", queries.metrics, METRIC_PARAMETERS),
            "services": answer_services,
        }
        return [
            Route("/healthz", self._health),
            Route("/api/stats", self._stats),
            *(self._route(f"/api/{name}", answer) for name, answer in answers.items()),
        ]

    def close(self) -> None:
        """End the query threads after their last query, which is bounded in time."""
        self._threads.shutdown()

    def _route(self, path: str, answer: Answer) -> Route:
        async def respond(request: Request) -> Response:
            query = dict(request.query_params)
            run = asyncio.get_running_loop().run_in_executor
            try:
                body = await run(self._threads, self._run, answer, query)
            except ParameterError as error:
                return JSONResponse({"error": str(error)}, 400)
            except sqlite3.Error as error:
                self._counters.add("store", "query_failures")
                self._counters.warn("query_failed", f"A query of the store {self._path} failed: {error}")
                return JSONResponse({"error": f"The store cannot be read ({error}); ask for less, or try again"}, 503)
            except Exception as error:  # noqa: BLE001 -- a bug in one query must not cost the client its connection
                self._counters.add("store", "query_bugs")
                self._counters.warn("query_bug", f"A query of {path} failed by a bug of ours; {whereabouts(error)}")
                return JSONResponse({"error": "The query failed by a bug of ours; the collector's log has more"}, 500)
            if body is None:
                return JSONResponse({"error": "Nothing matches; check the id, or wait until it was exported"}, 404)
            return Response(body, headers={"Cache-Control": "no-store"}, media_type="application/json")

        return Route(path, respond, methods=["GET"])

    def _run(self, answer: Answer, query: Mapping[str, str]) -> bytes | None:
        """Answer in a query thread; None where nothing matches."""
        with closing(open_for_reading(self._path)) as connection:
            deadline = time.monotonic() + QUERY_SECONDS
            connection.set_progress_handler(lambda: time.monotonic() > deadline, STEPS_BETWEEN_LOOKS_AT_THE_CLOCK)
            # One transaction, so that all parts of an answer are of the same moment.
            connection.execute("BEGIN")
            result = answer(connection, query)
        return None if result is None else json.dumps(result, ensure_ascii=False).encode()

    async def _health(self, _: Request) -> Response:
        if await self._intake.can_store():
            return JSONResponse({"status": "ok"})
        error = "The store takes nothing now; look at the collector's log, and for a full disk"
        return JSONResponse({"status": "failing", "error": error}, 503)

    async def _stats(self, request: Request) -> Response:
        try:
            check_names(request.query_params, ())
        except ParameterError as error:
            return JSONResponse({"error": str(error)}, 400)
        budget = self._intake.budget
        counters = {group: self._counters.group(group) for group in COUNTER_GROUPS}
        return JSONResponse({**counters, "bytes_in_flight": budget.used, "bytes_in_flight_limit": budget.limit})


def lister(name: str, find: Callable[[sqlite3.Connection, Filter], object], allowed: tuple[str, ...]) -> Answer:
    """Make the answer of a route that lists what *find* finds under *name*."""

    def answer(connection: sqlite3.Connection, query: Mapping[str, str]) -> object:
        return {name: find(connection, read_filter(query, allowed))}

    return answer


def whereabouts(error: Exception) -> str:
    """Tell the kind of *error* and the lines it came through, without its message, which may quote what was sent."""
    lines = "".join(traceback.format_tb(error.__traceback__))
    return f"please report this {type(error).__name__}:\n{lines.rstrip()}"


def answer_story(connection: sqlite3.Connection, query: Mapping[str, str]) -> object:
    """Tell one story."""
    return stories.find_story(connection, read_story_filter(query))


def answer_services(connection: sqlite3.Connection, query: Mapping[str, str]) -> object:
    """List the services; there is nothing to filter by."""
    check_names(query, ())
    return {"services": queries.services(connection)}
