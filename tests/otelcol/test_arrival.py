"""What the demo's services send arrives through the real collector, whole and with its fields, over both transports."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from otelctx.demo.arrival import wait_for_stories
from otelctx.demo.stack import demo_stack
from otelctx.demo.traffic import VISITS, pay_visits
from tests.otelcol.running import Backend, Site, await_that

pytestmark = pytest.mark.collector


@dataclass(frozen=True)
class Scene:
    """The stories of the demo's visits, by title, and where all the rest is."""

    backend: Backend
    stories: dict[str, dict[str, Any]]

    def records(self, title: str) -> list[dict[str, Any]]:
        return [*self.stories[title]["spans"], *self.stories[title]["logs"]]


@pytest.fixture(scope="module", params=["grpc", "http/protobuf"])
def scene(request: pytest.FixtureRequest, shared_site: Site) -> Iterator[Scene]:
    backend = shared_site.backend()
    collector = shared_site.otelcol("base.yaml", backend=backend.grpc)
    settings = {
        "OTEL_EXPORTER_OTLP_PROTOCOL": request.param,
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.grpc if request.param == "grpc" else collector.http,
        "OTEL_METRIC_EXPORT_INTERVAL": "500",
        "OTELCTX_FIELDS": "user_id:metric",
    }
    with demo_stack(collector_url=collector.http, settings=settings) as stack:
        answers = pay_visits(VISITS, gateway_url=stack.gateway_url, check=stack.check)
        stories = wait_for_stories(backend.url, answers, check=stack.check, patience=60)
        await_that(lambda: served(backend) == {"alice", "bob"}, "the metrics", check=stack.check)
        transport = "grpc" if request.param == "grpc" else "http"
        assert collector.counter("otelcol_receiver_accepted_spans", transport=transport) > 0
        yield Scene(backend, {answer.visit.title: dict(stories[answer.request_id]) for answer in answers})


def served(backend: Backend) -> set[str]:
    """Return the users on the gateway's metric of requests."""
    points = backend.metrics(service="gateway", name="http.server.request.duration") or backend.metrics(
        service="gateway", name="http.server.duration"
    )
    return {point["attributes"]["user.id"] for point in points if "user.id" in point["attributes"]}


every_visit = pytest.mark.parametrize("visit", VISITS, ids=lambda visit: visit.title)


@every_visit
def test_traces_and_logs_arrive_with_their_fields_as_attributes(scene: Scene, visit):
    request_id = scene.stories[visit.title]["request_id"]
    fields = {
        (record["attributes"].get("request_id"), record["attributes"].get("user.id"))
        for record in scene.records(visit.title)
    }
    assert fields == {(request_id, visit.user_id)}


@every_visit
def test_spans_and_logs_of_all_services_are_there(scene: Scene, visit):
    for kind in ("spans", "logs"):
        services = {record["service"] for record in scene.stories[visit.title][kind]}
        assert services == {service for service, _ in visit.leaves}


def test_metrics_arrive_with_the_fields_that_opted_in(scene: Scene):
    assert served(scene.backend) == {"alice", "bob"}
