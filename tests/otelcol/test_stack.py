"""The stack of docker-compose.yml for real: its services and its collector, in processes instead of containers."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from otelctx.demo.arrival import missing_from
from otelctx.demo.processes import Process, ProcessGroup
from tests.otelcol.composed import ROOT, SHIPPING, Composed, python_programs
from tests.otelcol.running import Backend, Site, await_that, fetch

pytestmark = pytest.mark.collector


@pytest.fixture(scope="module")
def shipping(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Node.js service with its dependencies, as its Dockerfile installs them."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("there is no Node.js; it is at https://nodejs.org")
    folder = tmp_path_factory.mktemp("node") / "shipping"
    shutil.copytree(SHIPPING, folder, ignore=shutil.ignore_patterns("node_modules"))
    installed = subprocess.run(
        [npm, "ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    if installed.returncode:
        pytest.skip(f"npm cannot install the service: {installed.stderr[-300:]}")
    return folder


@dataclass(frozen=True)
class Scene:
    """The running stack, what its visitor printed, and the backends behind the collector."""

    stack: Composed
    printed: str
    jaeger: Backend
    loki: Backend
    prometheus: Backend
    shipping: Process
    site: Site

    def ask(self, path: str, **query: str) -> Any:
        answer = httpx.get(f"{self.stack.url('story', 4318)}/api/{path}", params=query, trust_env=False)
        return answer.json() if answer.is_success else None


@pytest.fixture(scope="module")
def scene(shared_site: Site, binary: str, shipping: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    directory = tmp_path_factory.mktemp("stack")
    with ProcessGroup(directory) as group:
        stack = Composed(group, python_programs() | {"node": shutil.which("node") or "node"})
        jaeger, loki, prometheus = (shared_site.backend() for _ in range(3))
        stack.start("story")
        stack.start(
            "otelcol",
            [binary, *stack.command("otelcol")],
            OTELCOL_STORAGE=str(directory),
            JAEGER_ENDPOINT=jaeger.grpc,
            LOKI_ENDPOINT=loki.url,
            PROMETHEUS_ENDPOINT=prometheus.url,
            OTELCTX_ENDPOINT=stack.url("story", 4318),
        )
        ready = stack.run("otelcol-ready")
        assert (ready.returncode, ready.stderr) == (0, "")
        stack.start("inventory")
        node = stack.start("shipping", ["node", "--require", f"{shipping}/telemetry.js", f"{shipping}/app.js"])
        stack.start("orders")
        stack.start("gateway")
        visitor = stack.run("visitor")
        assert visitor.returncode == 0, visitor.stderr
        yield Scene(stack, visitor.stdout, jaeger, loki, prometheus, node, shared_site)


@pytest.fixture(scope="module")
def story(scene: Scene) -> dict[str, Any]:
    """The story of a purchase, that the visitor made, found by the line that Node.js wrote."""
    said = "of alice leaves today"

    def bought() -> set[str]:
        return {log["request_id"] for log in scene.loki.logs(service="shipping") if said in log["body"]}

    await_that(lambda: bool(bought()), "what Node.js logs", check=scene.site.check)
    (request_id,) = bought()

    def is_whole() -> bool:
        found = scene.ask("story", request_id=request_id)
        services = {log["service"] for log in found["logs"]} if found else set()
        return services == {"gateway", "orders", "inventory", "shipping"} and not missing_from(found, ())

    await_that(is_whole, "the story", check=scene.site.check)
    found: dict[str, Any] = scene.ask("story", request_id=request_id)
    return found


def test_the_visitor_prints_the_story_of_all_four_services(scene: Scene):
    assert all(service in scene.printed for service in ("gateway", "orders", "inventory", "shipping"))
    assert "alice" in scene.printed
    assert "packing 1 of book" in scene.printed


def test_the_ids_go_from_python_to_node_and_from_node_to_python(story: dict[str, Any]):
    spans = {span["span_id"]: span for span in story["spans"]}
    callers = {
        (spans[span["parent_span_id"]]["service"], span["service"])
        for span in spans.values()
        if span["kind"] == "server" and span["parent_span_id"]
    }
    assert callers == {
        ("gateway", "orders"),
        ("orders", "inventory"),
        ("orders", "shipping"),
        ("shipping", "inventory"),
        ("gateway", "inventory"),
    }
    records = [*story["spans"], *story["logs"]]
    assert {(record["request_id"], record["user_id"]) for record in records} == {(story["request_id"], "alice")}
    assert len({record["trace_id"] for record in records}) == 1


def test_node_knows_them_in_its_own_store(scene: Scene, story: dict[str, Any]):
    log = scene.shipping.log.read_text("utf-8")
    assert f"[{story['request_id']} alice] packing 1 of book" in log
    assert any("of alice leaves today" in line["body"] for line in story["logs"])


def test_an_id_that_begins_in_node_is_the_one_in_python(scene: Scene):
    mine = uuid.uuid4().hex
    answer = httpx.post(
        f"{scene.stack.url('shipping', 8003)}/shipments",
        json={"order_id": "o-1", "sku": "book", "quantity": 1},
        headers={"x-request-id": mine},
        trust_env=False,
    )
    assert (answer.status_code, answer.headers["x-request-id"]) == (201, mine)

    def services() -> set[str]:
        found = scene.ask("story", request_id=mine)
        return set() if found is None else {log["service"] for log in found["logs"]}

    await_that(lambda: services() == {"shipping", "inventory"}, "both services", check=scene.site.check)


def test_each_backend_gets_its_signal_and_no_other(scene: Scene):
    await_that(lambda: bool(scene.prometheus.metrics()), "the metrics", check=scene.site.check)
    got = {
        name: (bool(backend.spans()), bool(backend.logs()), bool(backend.metrics()))
        for name, backend in (("jaeger", scene.jaeger), ("loki", scene.loki), ("prometheus", scene.prometheus))
    }
    assert got == {"jaeger": (True, False, False), "loki": (False, True, False), "prometheus": (False, False, True)}


def test_the_dashboard_asks_for_metrics_that_there_are(scene: Scene):
    panels = json.loads((ROOT / "compose/grafana/dashboards/request.json").read_text("utf-8"))["panels"]
    targets = [target for panel in panels for target in panel.get("targets", [])]
    queries = [target["expr"] for target in targets if target["datasource"]["type"] == "prometheus"]
    asked = {name for query in queries for name in re.findall(r"\b(?:http|otelcol)_\w+(?=[\[{)])", query)}
    assert asked

    # By OTLP from the services; Prometheus writes units and parts of a histogram behind the name.
    sent = {point["name"].replace(".", "_") for point in scene.prometheus.metrics()}
    of_services = {re.sub(r"_seconds(_bucket|_count|_sum)$", "", name) for name in asked if name.startswith("http_")}
    assert of_services <= sent
    # Scraped from the collector, which shows failures from the first one on.
    own = fetch(f"{scene.stack.url('otelcol', 8888)}/metrics")
    assert own is not None
    shown = set(re.findall(r"^otelcol_\w+", own.text, re.MULTILINE))
    assert {name for name in asked if name.startswith("otelcol_") and "_failed_" not in name} <= shown
