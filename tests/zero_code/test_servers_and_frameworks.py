"""
Applications that never import otelctx, under each server and framework, started both ways.

One run of each serves five requests, over one connection where the server keeps it open, and ends; the tests say what
must be at the collector then.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

UUID7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"


@dataclass(frozen=True)
class Case:
    """How to start an application, and what is particular to its framework and server."""

    command: str
    access: str
    error: str | None
    instrumentations: tuple[str, ...] = ()
    names: tuple[str, str] = ("GET /items/1", "GET /boom")
    environment: dict[str, str] = field(default_factory=dict)
    stop: signal.Signals = signal.SIGTERM


UVICORN = "uvicorn --port {port} "
GUNICORN = "gunicorn --bind 127.0.0.1:{port} --access-logfile - "
DJANGO = {"DJANGO_SETTINGS_MODULE": "django_app"}
DJANGO_NAMES = ("GET items/<item>", "GET boom")

CASES = {
    "bare-uvicorn": Case(UVICORN + "bare:app", "uvicorn.access", "uvicorn.error"),
    "fastapi-uvicorn": Case(
        UVICORN + "fastapi_app:app", "uvicorn.access", "uvicorn.error", ("fastapi",), ("GET /items/{item}", "GET /boom")
    ),
    "starlette-uvicorn": Case(
        UVICORN + "starlette_app:app",
        "uvicorn.access",
        "uvicorn.error",
        ("starlette",),
        ("GET /items/{item}", "GET /boom"),
    ),
    "litestar-uvicorn": Case(UVICORN + "litestar_app:app", "uvicorn.access", None),
    "quart-uvicorn": Case(UVICORN + "quart_app:app", "uvicorn.access", "quart_app"),
    "django-uvicorn": Case(
        UVICORN + "django_app:asgi", "uvicorn.access", "django.request", ("django",), DJANGO_NAMES, DJANGO
    ),
    "bare-hypercorn": Case(
        "hypercorn --bind 127.0.0.1:{port} --access-logfile - bare:app", "hypercorn.access", "hypercorn.error"
    ),
    "bare-granian": Case(
        "granian --interface asgi --port {port} --access-log bare:app", "granian.access", "_granian.utils"
    ),
    "bare-gunicorn": Case(GUNICORN + "-k uvicorn_worker.UvicornWorker bare:app", "uvicorn.access", "uvicorn.error"),
    "flask-werkzeug": Case(
        "flask --app flask_app run --port {port}",
        "werkzeug",
        "flask_app",
        ("flask",),
        ("GET /items/<item>", "GET /boom"),
        stop=signal.SIGINT,  # the one signal that it ends on by itself
    ),
    "flask-gunicorn-sync": Case(
        GUNICORN + "flask_app:app", "gunicorn.access", "flask_app", ("flask",), ("GET /items/<item>", "GET /boom")
    ),
    "flask-gunicorn-gthread": Case(
        GUNICORN + "--threads 2 flask_app:app",
        "gunicorn.access",
        "flask_app",
        ("flask",),
        ("GET /items/<item>", "GET /boom"),
    ),
    "django-gunicorn": Case(
        GUNICORN + "django_app:wsgi", "gunicorn.access", "django.request", ("django",), DJANGO_NAMES, DJANGO
    ),
}

REQUESTS = {
    "adopted": ("/items/1", {"x-request-id": "id-of-the-caller", "traceparent": f"00-{TRACE}-{PARENT}-01"}),
    "replaced": ("/items/2", {"x-request-id": "not valid; at all"}),
    "generated": ("/items/3", {}),
    "missing": ("/nope", {"x-request-id": "id-of-missing", "baggage": "user_id=J%C3%BCrgen"}),
    "failing": ("/boom", {"x-request-id": "id-of-failing"}),
}


class Run:
    """What one run answered, and what it left at the collector."""

    def __init__(self, service: Any, case: Case) -> None:
        service.wait_until_ready()
        self.answers = dict(zip(REQUESTS, service.get_all(REQUESTS.values()), strict=True))
        service.stop(case.stop)
        self.ids = {name: answer.header("x-request-id") for name, answer in self.answers.items()}
        self.spans = service.spans()
        self.logs = service.logs()
        self.output = service.output

    def spans_of(self, name: str) -> list[dict[str, Any]]:
        return [span for span in self.spans if span["request_id"] == self.ids[name]]

    def logs_of(self, name: str, logger: str) -> list[dict[str, Any]]:
        return [log for log in self.logs if log["scope"] == logger and log["request_id"] == self.ids[name]]


KEYS = [(case, launcher) for case in CASES for launcher in ("otelctx run", "opentelemetry-instrument")]
pytestmark = pytest.mark.parametrize("key", KEYS, ids=["-".join(key).replace(" ", "-") for key in KEYS])


@pytest.fixture(scope="module")
def runs(request: pytest.FixtureRequest, make_service: Any) -> Iterator[dict[Any, Future[Run]]]:
    """Begin all runs that this session asks for; a few at a time, since much of a run is waiting."""
    wanted = {
        cast("tuple[str, str]", item.callspec.params["key"]): None
        for item in request.session.items
        if item.path == Path(__file__) and isinstance(item, pytest.Function)
    }

    def record(key: tuple[str, str]) -> Run:
        case = CASES[key[0]]
        service = make_service(
            *case.command.split(), launcher=key[1], instrumentations=case.instrumentations, **case.environment
        )
        return Run(service, case)

    with ThreadPoolExecutor(3) as pool:
        yield {key: pool.submit(record, key) for key in wanted}


@pytest.fixture
def case(key: tuple[str, str]) -> Case:
    return CASES[key[0]]


@pytest.fixture
def run(key: tuple[str, str], runs: dict[Any, Future[Run]]) -> Run:
    return runs[key].result()


def test_a_valid_request_id_is_adopted_and_a_wrong_or_missing_one_generated(run: Run) -> None:
    assert run.ids["adopted"] == "id-of-the-caller"
    assert UUID7.fullmatch(run.ids["replaced"] or "")
    assert UUID7.fullmatch(run.ids["generated"] or "")
    assert run.ids["replaced"] != run.ids["generated"]


def test_every_response_carries_the_request_id_once(run: Run) -> None:
    assert {name: answer.status for name, answer in run.answers.items()} == {
        "adopted": 200,
        "replaced": 200,
        "generated": 200,
        "missing": 404,
        "failing": 500,
    }
    assert (run.ids["missing"], run.ids["failing"]) == ("id-of-missing", "id-of-failing")


def test_each_request_has_one_server_span_with_the_route_in_its_name(run: Run, case: Case) -> None:
    for name in REQUESTS:
        assert [span["kind"] for span in run.spans_of(name)] == ["server"], name
    assert run.spans_of("adopted")[0]["name"] == case.names[0]
    assert run.spans_of("failing")[0]["name"] == case.names[1]
    assert len(run.spans) == len(REQUESTS)


def test_the_trace_of_the_caller_goes_on(run: Run) -> None:
    (span,) = run.spans_of("adopted")
    assert (span["trace_id"], span["parent_span_id"]) == (TRACE, PARENT)
    assert run.spans_of("generated")[0]["parent_span_id"] is None


def test_the_span_of_a_failure_has_the_error(run: Run) -> None:
    (span,) = run.spans_of("failing")
    assert span["status"]["code"] == "error"
    assert run.spans_of("adopted")[0]["status"]["code"] == "unset"


def test_what_the_application_logs_carries_request_and_trace(run: Run) -> None:
    for name in ("adopted", "replaced", "generated"):
        (log,) = run.logs_of(name, "app")
        assert log["trace_id"] == run.spans_of(name)[0]["trace_id"]
        assert log["attributes"]["request_id"] == run.ids[name]


def test_each_request_has_one_access_line_with_its_request_and_trace(run: Run, case: Case) -> None:
    for name in REQUESTS:
        lines = run.logs_of(name, case.access)
        assert [line["trace_id"] for line in lines] == [run.spans_of(name)[0]["trace_id"]], name
    assert run.logs_of("missing", case.access)[0]["user_id"] == "Jürgen"


def test_the_log_of_an_unhandled_error_carries_request_and_trace(run: Run, case: Case) -> None:
    if case.error is None:  # the framework keeps it to itself
        assert "boom" not in run.output.replace("GET /boom", "")
        return
    errors = [log for log in run.logs_of("failing", case.error) if log["severity_number"] >= 17]
    assert [log["trace_id"] for log in errors] == [run.spans_of("failing")[0]["trace_id"]]


def test_user_id_from_the_caller_is_on_the_span_and_on_all_logs_of_its_request(run: Run) -> None:
    users = {record["user_id"] for record in (*run.spans, *run.logs) if record["request_id"] == run.ids["missing"]}
    assert users == {"Jürgen"}
    assert {record["user_id"] for record in run.logs if record["request_id"] != run.ids["missing"]} == {None}


def test_nothing_of_otelctx_or_opentelemetry_complains(run: Run) -> None:
    complaints = [line for line in run.output.splitlines() if "otelctx" in line and "File" not in line]
    # The one about the invalid request id that it was sent, and no other.
    assert [line for line in complaints if "field.refused: 1 so far" not in line] == []
    assert "Failed to detach" not in run.output
    assert "Overriding of current" not in run.output
