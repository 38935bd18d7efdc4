"""Every configuration is accepted by the collector, starts, and uses no name that is on its way out."""

from __future__ import annotations

import re
import subprocess

import pytest
import yaml

from tests.otelcol.running import FOLDER, Site, fetch, validate

pytestmark = pytest.mark.collector

CONFIGURATIONS = {
    "base": ["base.yaml"],
    "demo": ["base.yaml", "demo.yaml"],
    "production": ["base.yaml", "production.yaml"],
    "agent": ["base.yaml", "gateway/agent.yaml"],
    "gateway": ["base.yaml", "production.yaml", "gateway/gateway.yaml"],
}
# The components of these are in the contrib image, and not in what builder.yaml builds.
WITH_KAFKA = {
    "Kafka's agent": ["base.yaml", "gateway/kafka-agent.yaml"],
    "Kafka's gateway": ["base.yaml", "production.yaml", "gateway/kafka-gateway.yaml"],
}
ALL = CONFIGURATIONS | WITH_KAFKA
every_configuration = pytest.mark.parametrize("files", CONFIGURATIONS.values(), ids=CONFIGURATIONS.keys())


def test_no_file_is_left_out():
    there = {str(path.relative_to(FOLDER)) for path in FOLDER.rglob("*.yaml")}
    assert there == {file for files in ALL.values() for file in files} | {"builder.yaml"}


@every_configuration
def test_the_collector_accepts_it(binary: str, files: list[str]):
    verdict = validate(binary, files)
    assert (verdict.returncode, verdict.stderr) == (0, "")


@pytest.mark.parametrize("files", WITH_KAFKA.values(), ids=WITH_KAFKA.keys())
def test_a_collector_with_kafka_accepts_it(binary: str, files: list[str]):
    components = subprocess.run([binary, "components"], capture_output=True, text=True, check=True).stdout
    if "kafka" not in components:
        pytest.skip("this collector has no components for Kafka; the contrib image has")
    verdict = validate(binary, files)
    assert (verdict.returncode, verdict.stderr) == (0, "")


def test_the_collector_would_refuse_a_mistake(binary: str):
    verdict = validate(binary, ["base.yaml", "yaml:exporters::otlp_grpc::sending_queue::queue_sise: 1"])
    assert verdict.returncode == 1
    assert "queue_sise" in verdict.stderr


@every_configuration
def test_it_starts_and_shows_its_health_and_its_own_metrics(site: Site, files: list[str]):
    collector = site.otelcol(*files)
    own = fetch(f"http://{collector.host}:8888/metrics")
    assert own is not None
    assert "otelcol_process_uptime" in own.text


@every_configuration
def test_it_says_nothing_of_deprecation(site: Site, files: list[str]):
    collector = site.otelcol(*files)
    assert collector.log
    assert [line for line in collector.log if "deprecat" in str(line).lower()] == []


def test_a_deprecated_name_would_be_found(site: Site):
    collector = site.otelcol("base.yaml", "yaml:exporters::otlphttp::endpoint: http://127.0.0.1:1", *_using("otlphttp"))
    assert [line for line in collector.log if "deprecat" in str(line).lower()]


def _using(exporter: str) -> list[str]:
    return [f"yaml:service::pipelines::traces::exporters: [{exporter}]"]


@pytest.mark.parametrize("files", ALL.values(), ids=ALL.keys())
def test_memory_is_limited_first_in_every_pipeline_that_receives(files: list[str]):
    pipelines = {}
    for file in files:
        pipelines |= yaml.safe_load((FOLDER / file).read_text("utf-8")).get("service", {}).get("pipelines", {})
    first = {name: pipeline["processors"][0] for name, pipeline in pipelines.items() if "otlp" in pipeline["receivers"]}
    assert set(first) >= {"traces", "metrics", "logs"}
    assert set(first.values()) == {"memory_limiter"}


def test_the_image_and_the_build_are_of_one_version():
    image = re.search(r"^OTELCOL_IMAGE=.*:(.+)$", (FOLDER.parent / ".env").read_text("utf-8"), re.MULTILINE)
    assert image is not None
    assert image[1] == yaml.safe_load((FOLDER / "builder.yaml").read_text("utf-8"))["dist"]["version"]
