"""
What the environment may say: other distributions, files, propagators, samplers and exporters, and that all is off.

Each run calls itself over HTTP once, so it shows what came in, what went out and what was recorded.
"""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SENT = {
    "x-request-id": "id-of-the-caller",
    "baggage": "user_id=J%C3%BCrgen,vendor=a%20b",
    "traceparent": f"00-{TRACE}-00f067aa0ba902b7-01",
}

OPENTELEMETRY_YAML = """\
file_format: "1.0"
resource: {{attributes: [{{name: service.name, value: "${{OTEL_SERVICE_NAME}}"}}]}}
{propagators}
tracer_provider:
  processors:
    - batch:
        exporter: {{otlp_http: {{endpoint: "${{OTEL_EXPORTER_OTLP_ENDPOINT}}/v1/traces"}}}}
logger_provider:
  processors:
    - batch:
        exporter: {{otlp_http: {{endpoint: "${{OTEL_EXPORTER_OTLP_ENDPOINT}}/v1/logs"}}}}
{instrumentation}
"""
PROPAGATORS = "propagator: {composite: [{tracecontext: }, {baggage: }]}"
FIELDS = """\
instrumentation/development:
  python:
    otelctx: {fields: {tenant: {remote: true, header: x-tenant, echo: true}}}
"""


@dataclass(frozen=True)
class Case:
    """What to say, and in which file."""

    environment: dict[str, str] = field(default_factory=dict)
    launcher: str = "opentelemetry-instrument"
    files: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    stop: signal.Signals = signal.SIGTERM


def _file(propagators: str = "", instrumentation: str = "", **headers: str) -> Case:
    text = OPENTELEMETRY_YAML.format(propagators=propagators, instrumentation=instrumentation)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Case({"OTEL_CONFIG_FILE": "otel.yaml"}, files={"otel.yaml": text}, headers=named)


CASES = {
    "another distribution": Case({"OTEL_PYTHON_DISTRO": "distro", "OTEL_PYTHON_CONFIGURATOR": "configurator"}),
    "our distribution": Case({"OTEL_PYTHON_DISTRO": "otelctx"}),
    "a file": _file(),
    "a file with propagators": _file(PROPAGATORS),
    "a file with fields": _file(PROPAGATORS, FIELDS, x_tenant="acme"),
    "our propagator": Case({"OTEL_PROPAGATORS": "otelctx"}),
    "other propagators": Case({"OTEL_PROPAGATORS": "tracecontext,baggage"}),
    "no propagator": Case({"OTEL_PROPAGATORS": "none"}),
    "SDK off": Case({"OTEL_SDK_DISABLED": "true"}),
    "nothing sampled": Case({"OTEL_TRACES_SAMPLER": "always_off"}),
    "no traces": Case({"OTEL_TRACES_EXPORTER": "none"}),
    "otelctx off": Case({"OTELCTX_ENABLED": "false"}, stop=signal.SIGINT),  # SIGTERM would end it before it sends
    "a broken file": Case(files={"otelctx.toml": "[otelctx]\nstrict = 'perhaps'\n"}),
    "no collector": Case({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}),
}

# The standard ways to say where to send, which all mean that everything works.
COMPLETE = ("another distribution", "our distribution", "a file", "our propagator", "a broken file")
WITH_PROPAGATORS = ("a file with propagators", "a file with fields", "other propagators")


class Run:
    """What one run answered, what it sent out, and what it left at the collector."""

    def __init__(self, service: Any, case: Case) -> None:
        service.wait_until_ready()
        url = f"http://127.0.0.1:{service.port}"
        self.answer = service.get(f"/call?url={url}/called", SENT | case.headers)
        self.sent = {name.lower(): value for name, value in json.loads(self.answer.body).items()}
        self.seconds_to_end = service.stop(case.stop)
        self.spans = service.spans()
        self.logs = service.logs()
        self.output = service.output
        self.members = dict(member.split("=", 1) for member in self.sent.get("baggage", "").split(",") if member)


@pytest.fixture(scope="module")
def runs(make_service: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[Run]]]:
    def record(case: Case) -> Run:
        folder: Path = tmp_path_factory.mktemp("run")
        for name, text in case.files.items():
            (folder / name).write_text(text)
        service = make_service(
            "uvicorn",
            "--port",
            "{port}",
            "caller:app",
            launcher=case.launcher,
            instrumentations=("httpx",),
            cwd=folder,
            **case.environment,
        )
        return Run(service, case)

    with ThreadPoolExecutor(3) as pool:
        yield {name: pool.submit(record, case) for name, case in CASES.items()}


@pytest.fixture
def run(name: str, runs: dict[str, Future[Run]]) -> Run:
    return runs[name].result()


def everything_of(run: Run) -> list[dict[str, Any]]:
    return [*run.spans, *(log for log in run.logs if log["scope"] in {"app", "uvicorn.access"})]


@pytest.mark.parametrize("name", [*COMPLETE, *WITH_PROPAGATORS])
class TestEverythingWorks:
    def test_the_request_id_is_adopted_and_echoed(self, run: Run) -> None:
        assert run.answer.status == 200
        assert run.answer.header("x-request-id") == "id-of-the-caller"

    def test_all_spans_and_logs_have_request_and_trace(self, run: Run) -> None:
        assert [span["kind"] for span in run.spans].count("server") == 2
        assert len(run.spans) == 3
        assert len(everything_of(run)) == 7
        for record in everything_of(run):
            assert (record["request_id"], record["trace_id"]) == ("id-of-the-caller", TRACE)

    def test_the_user_of_the_caller_is_on_all_of_them(self, run: Run) -> None:
        assert {record["user_id"] for record in everything_of(run)} == {"Jürgen"}

    def test_baggage_goes_on_unchanged(self, run: Run) -> None:
        assert run.members["request_id"] == "id-of-the-caller"
        assert run.members["user_id"] == "J%C3%BCrgen"
        assert run.members["vendor"] in {"a%20b", "a+b"}


@pytest.mark.parametrize("name", COMPLETE)
def test_a_call_carries_the_header_of_the_request_id(run: Run) -> None:
    assert run.sent["x-request-id"] == "id-of-the-caller"


@pytest.mark.parametrize("name", WITH_PROPAGATORS)
def test_propagators_that_somebody_chose_keep_their_wire_format(run: Run) -> None:
    assert "x-request-id" not in run.sent


@pytest.mark.parametrize("name", ["a file with fields"])
def test_a_field_of_the_file_is_read_recorded_sent_and_echoed(run: Run) -> None:
    assert run.answer.header("x-tenant") == "acme"
    assert {record["attributes"].get("tenant") for record in everything_of(run)} == {"acme"}
    assert run.members["tenant"] == "acme"


@pytest.mark.parametrize("name", ["no propagator"])
class TestNoPropagator:
    """Nothing crosses to other services; in this one everything works."""

    def test_the_request_id_is_adopted_echoed_and_recorded(self, run: Run) -> None:
        assert run.answer.header("x-request-id") == "id-of-the-caller"
        assert {log["request_id"] for log in run.logs if log["body"] == "calling"} == {"id-of-the-caller"}

    def test_nothing_goes_out(self, run: Run) -> None:
        assert run.sent.keys().isdisjoint({"traceparent", "baggage", "x-request-id"})


@pytest.mark.parametrize("name", ["SDK off"])
class TestSdkOff:
    def test_ids_are_echoed_and_on_stdlib_logs(self, run: Run) -> None:
        assert run.answer.header("x-request-id") == "id-of-the-caller"
        assert "calling request_id=id-of-the-caller" in run.output

    def test_nothing_is_exported(self, run: Run) -> None:
        assert (run.spans, run.logs) == ([], [])

    def test_baggage_and_trace_still_cross(self, run: Run) -> None:
        assert run.members["request_id"] == run.sent["x-request-id"] == "id-of-the-caller"
        assert TRACE in run.sent["traceparent"]


@pytest.mark.parametrize("name", ["nothing sampled", "no traces"])
class TestNoSpans:
    def test_there_are_none(self, run: Run) -> None:
        assert run.spans == []

    def test_ids_are_echoed_sent_on_and_on_logs(self, run: Run) -> None:
        assert run.answer.header("x-request-id") == run.sent["x-request-id"] == "id-of-the-caller"
        assert run.members["user_id"] == "J%C3%BCrgen"
        assert len(everything_of(run)) == 4
        assert {(log["request_id"], log["user_id"]) for log in everything_of(run)} == {("id-of-the-caller", "Jürgen")}


@pytest.mark.parametrize("name", ["otelctx off"])
class TestOff:
    """With ``OTELCTX_ENABLED=false`` it is as if otelctx were not there."""

    def test_there_is_no_echo_and_no_attribute(self, run: Run) -> None:
        assert run.answer.header("x-request-id") is None
        assert {record["request_id"] for record in (*run.spans, *run.logs)} == {None}
        assert "calling request_id=unknown" in run.output

    def test_opentelemetry_works_as_it_does_by_itself(self, run: Run) -> None:
        assert [span["kind"] for span in run.spans] == ["client"]
        assert "x-request-id" not in run.sent


@pytest.mark.parametrize("name", ["a broken file"])
def test_a_broken_file_is_told_of_once_and_the_application_runs(run: Run) -> None:
    lines = [line for line in run.output.splitlines() if re.search(r"otelctx\.toml: .*strict", line)]
    assert len(lines) == 1
    assert "perhaps" in lines[0]
    assert "Traceback" not in run.output


@pytest.mark.parametrize("name", ["no collector"])
class TestNoCollector:
    def test_the_application_works(self, run: Run) -> None:
        assert run.answer.header("x-request-id") == "id-of-the-caller"
        assert "calling request_id=id-of-the-caller" in run.output

    def test_it_ends_soon(self, run: Run) -> None:
        assert run.seconds_to_end < 8
