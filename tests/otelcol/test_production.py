"""production.yaml does what it says: secrets are masked, every span is counted, and the traces that matter are kept."""

from __future__ import annotations

import time
from dataclasses import dataclass

import httpx
import pytest
from opentelemetry._logs import SeverityNumber
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.resources import Resource

from tests.otelcol.running import Backend, Otelcol, Site, await_that, fetch, own_address
from tests.otelcol.telemetry import sending_to, trace

pytestmark = pytest.mark.collector

FILES = ("base.yaml", "production.yaml")
SOON = {"OTELCOL_DECISION_WAIT": "1s", "OTELCOL_METRICS_INTERVAL": "200ms"}
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"
CARD = "4111 1111 1111 1111"


@dataclass(frozen=True)
class Scene:
    """A production collector and its backend, in which everything that is sampled is kept or nothing."""

    collector: Otelcol
    backend: Backend
    site: Site


def production(site: Site, keep_percent: int) -> Scene:
    backend = site.backend()
    collector = site.otelcol(*FILES, backend=backend.grpc, settings={**SOON, "OTELCOL_KEEP_PERCENT": str(keep_percent)})
    return Scene(collector, backend, site)


KEPT = {
    "errors": {"error": True},
    "slow": {"seconds": 1.5},
    "flagged": {"attributes": {"keep_trace": True}},
    "flagged by text": {"attributes": {"keep_trace": "true"}},
    "failed health check": {"error": True, "attributes": {"url.path": "/healthz"}, "inner": False},
}
DROPPED = {
    "ordinary": {},
    "not flagged": {"attributes": {"keep_trace": False}},
    "health check": {"attributes": {"url.path": "/healthz"}, "inner": False},
    "slow health check": {"seconds": 3, "attributes": {"url.path": "/readyz"}, "inner": False},
}


@pytest.fixture(scope="module")
def sampled(shared_site: Site) -> tuple[Scene, dict[str, str]]:
    scene = production(shared_site, 0)
    with sending_to(scene.collector.http) as tracer:
        sent = {name: trace(tracer, name, **how) for name, how in (KEPT | DROPPED).items()}

    def decided() -> bool:
        counts = scene.collector.counter("otelcol_processor_tail_sampling_global_count_traces_sampled")
        return counts == len(sent)

    await_that(decided, "the decisions", check=shared_site.check)
    await_that(lambda: {span["name"] for span in scene.backend.spans()} >= set(KEPT), "spans", check=shared_site.check)
    return scene, sent


class TestSampling:
    """Errors, slow requests and those that a field flags are always kept; with 0 %, nothing else is."""

    @pytest.mark.parametrize("name", KEPT)
    def test_kept(self, sampled: tuple[Scene, dict[str, str]], name: str) -> None:
        scene, sent = sampled
        spans = scene.backend.spans(trace_id=sent[name])
        assert len(spans) == (1 if KEPT[name].get("inner") is False else 2)

    @pytest.mark.parametrize("name", DROPPED)
    def test_dropped(self, sampled: tuple[Scene, dict[str, str]], name: str) -> None:
        scene, sent = sampled
        assert scene.backend.spans(trace_id=sent[name]) == []

    def test_span_metrics_count_what_is_dropped_too(self, sampled: tuple[Scene, dict[str, str]]) -> None:
        scene, sent = sampled

        def counted() -> set[str]:
            points = scene.backend.metrics(name="traces.span.metrics.calls")
            return {point["attributes"]["span.name"] for point in points}

        await_that(lambda: counted() >= {*sent, "inside"}, "span metrics", check=scene.site.check)
        (latest,) = [
            point
            for point in scene.backend.metrics(name="traces.span.metrics.calls")[-len(sent) - 1 :]
            if point["attributes"]["span.name"] == "ordinary"
        ]
        assert float(latest["value"]) == 1


@pytest.fixture(scope="module")
def redacted(shared_site: Site) -> Scene:
    scene = production(shared_site, 100)
    with sending_to(scene.collector.http) as tracer:
        span = tracer.start_span(
            "paid",
            attributes={
                "request_id": "0197f3c2-7c1a-7c4e-9f0e-3c9d5b2a7e10",
                "user.id": "alice",
                "db.password": "hunter2",
                "http.request.header.authorization": ["Basic YWxpY2U6c2VjcmV0"],
                "note": f"paid with {CARD} today",
                "sent": f"Bearer {JWT}",
                "gen_ai.usage.input_tokens": 17,
                "url.full": "https://shop/pay?sku=book&access_token=abc123&page=2",
                "url.query": "token=abc123&page=2",
                "long": "x" * 10_000,
            },
        )
        span.add_event("charged", {"card": CARD})
        span.record_exception(ValueError(f"refused {CARD}"))
        span.end()
    logs = LoggerProvider(resource=Resource({"service.name": "shop"}), shutdown_on_exit=False)
    logs.add_log_record_processor(
        SimpleLogRecordProcessor(OTLPLogExporter(f"{scene.collector.http}/v1/logs", timeout=30))
    )
    logs.get_logger("tests").emit(
        timestamp=time.time_ns(),
        severity_number=SeverityNumber.INFO,
        body=f"paid with {CARD}",
        attributes={"api_key": "k-1", "user.id": "alice"},
    )
    logs.shutdown()
    await_that(lambda: bool(scene.backend.spans() and scene.backend.logs()), "both", check=shared_site.check)
    return scene


class TestRedaction:
    """What must not be stored is masked wherever it stands; everything else stays as it is."""

    @pytest.fixture
    def attributes(self, redacted: Scene) -> dict[str, object]:
        (span,) = redacted.backend.spans()
        return span["attributes"]

    def test_no_secret_is_anywhere(self, redacted: Scene) -> None:
        everything = str((redacted.backend.spans(), redacted.backend.logs()))
        found = [secret for secret in ("4111", "hunter2", "abc123", JWT, "YWxpY2U6", "k-1") if secret in everything]
        assert found == []

    def test_only_the_secret_part_of_a_value_goes(self, attributes: dict[str, object]) -> None:
        assert attributes["note"] == "paid with **** today"
        assert attributes["url.full"] == "https://shop/pay?sku=book&access_token=***&page=2"
        assert attributes["url.query"] == "token=***&page=2"

    def test_fields_and_harmless_names_stay(self, attributes: dict[str, object]) -> None:
        kept = {name: attributes[name] for name in ("request_id", "user.id", "gen_ai.usage.input_tokens")}
        assert kept == {
            "request_id": "0197f3c2-7c1a-7c4e-9f0e-3c9d5b2a7e10",
            "user.id": "alice",
            "gen_ai.usage.input_tokens": 17,
        }

    def test_credentials_are_deleted(self, attributes: dict[str, object]) -> None:
        assert "http.request.header.authorization" not in attributes

    def test_long_values_are_cut(self, attributes: dict[str, object]) -> None:
        assert attributes["long"] == "x" * 4096

    def test_events_and_log_bodies_are_masked(self, redacted: Scene) -> None:
        (span,) = redacted.backend.spans()
        events = {event["name"]: event["attributes"] for event in span["events"]}
        assert events["charged"]["card"] == "****"
        assert events["exception"]["exception.message"] == "refused ****"
        assert [log["body"] for log in redacted.backend.logs()] == ["paid with ****"]

    def test_the_environment_is_named(self, redacted: Scene) -> None:
        records = [*redacted.backend.spans(), *redacted.backend.logs()]
        assert {record["resource"]["deployment.environment.name"] for record in records} == {"production"}


class TestQueue:
    """What the collector has accepted survives its own death; what it cannot take, it refuses."""

    def test_a_killed_collector_delivers_when_it_is_back(self, site: Site, binary: str) -> None:
        if binary.endswith("-of-image"):
            pytest.skip("a kill reaches the client of the container and not what runs in it")
        host = own_address()
        settings = {**SOON, "OTELCOL_KEEP_PERCENT": "100"}
        collector = site.otelcol(*FILES, backend=f"{host}:4317", settings=settings)
        with sending_to(collector.http) as tracer:
            sent = {trace(tracer, "during the outage") for _ in range(50)}
        queued = "otelcol_exporter_queue_size"
        await_that(lambda: collector.counter(queued, data_type="traces") == 100, "the queue", check=site.check)

        collector.process.popen.kill()
        collector.process.popen.wait()
        backend = site.backend(host)
        site.otelcol(*FILES, host=collector.host, backend=backend.grpc, settings=settings)

        await_that(
            lambda: {span["trace_id"] for span in backend.spans()} == sent,
            "what was queued",
            check=backend.process.check,
        )

    @pytest.mark.parametrize("files", [("base.yaml",), FILES], ids=["base", "production"])
    def test_a_full_queue_tells_the_sender(self, site: Site, files: tuple[str, ...]) -> None:
        tiny = "yaml:exporters::otlp_grpc::sending_queue: {queue_size: 2, batch: {min_size: 1, max_size: 2}}"
        collector = site.otelcol(*files, tiny)
        request = {
            "resourceLogs": [{"scopeLogs": [{"logRecords": [{"body": {"stringValue": str(n)}} for n in range(3)]}]}]
        }
        answer = httpx.post(f"{collector.http}/v1/logs", json=request, trust_env=False)
        assert answer.status_code == 503
        assert fetch(f"http://{collector.host}:13133/").status_code == 200
