"""docker-compose.yml, judged by Compose itself and by what it promises; its images, where an engine can build them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from typing import Any

import pytest
import yaml

from tests.otelcol.running import FOLDER

ROOT = FOLDER.parent
FILE = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
TAGS = dict(re.findall(r"^(\w+)=(\S+)$", (ROOT / ".env").read_text("utf-8"), re.MULTILINE))
services = pytest.mark.parametrize("name", FILE["services"])


def compose() -> list[str]:
    """Return the command of Compose v2; skip where there is none."""
    for command in (["docker", "compose"], ["docker-compose"]):
        if shutil.which(command[0]) is None:
            continue
        asked = subprocess.run([*command, "version", "--short"], capture_output=True, text=True, check=False)
        if asked.returncode == 0 and not asked.stdout.startswith("1."):
            return command
    pytest.skip("there is no Compose v2; it is at https://docs.docker.com/compose/install")


def resolved(*options: str) -> dict[str, Any]:
    done = subprocess.run(
        [*compose(), *options, "config", "--format", "json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


class TestCompose:
    def test_it_accepts_the_file(self):
        assert set(resolved()["services"]) < set(FILE["services"])

    def test_every_profile_is_accepted(self):
        assert set(resolved("--profile", "*")["services"]) == set(FILE["services"])

    def test_every_port_is_of_loopback(self):
        found = resolved("--profile", "*")["services"].values()
        assert {port["host_ip"] for service in found for port in service.get("ports", [])} == {"127.0.0.1"}


class TestFile:
    @services
    def test_every_image_has_an_exact_tag(self, name: str):
        image = FILE["services"][name]["image"]
        variable = re.fullmatch(r"\$\{(\w+)\}", image)
        if variable is None:
            assert "build" in FILE["services"][name]
        else:
            assert re.search(r":v?\d+\.\d+\.\d+", TAGS[variable[1]])

    @services
    def test_every_service_that_stays_has_limits(self, name: str):
        service = FILE["services"][name]
        if "restart" in service:
            assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory"}

    @pytest.mark.parametrize("name", ["gateway", "orders", "inventory", "shipping"])
    def test_the_shop_waits_for_the_collector_and_tells_its_health(self, name: str):
        service = FILE["services"][name]
        assert service["depends_on"]["otelcol-ready"]["condition"] == "service_completed_successfully"
        assert service["healthcheck"]["test"]
        assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])

    @pytest.mark.parametrize("path", ["Dockerfile", "compose/shipping/Dockerfile"])
    def test_images_run_as_a_user(self, path: str):
        last = (ROOT / path).read_text("utf-8").rsplit("FROM", 1)[1]
        assert re.search(r"^USER [1-9]\d*:\d+$", last, re.MULTILINE)

    @pytest.mark.parametrize("path", ["Dockerfile", "compose/shipping/Dockerfile"])
    def test_images_built_by_hand_have_the_same_base(self, path: str):
        argument, tag = re.findall(r"^ARG (\w+)=(\S+)$", (ROOT / path).read_text("utf-8"), re.MULTILINE)[0]
        assert TAGS[argument] == tag

    def test_every_file_that_is_mounted_is_there(self):
        mounts = [
            volume.split(":")[0] for service in FILE["services"].values() for volume in service.get("volumes", [])
        ]
        assert [path for path in mounts if path.startswith("./") and not (ROOT / path).exists()] == []


class TestGrafana:
    """The dashboard uses the data sources that are provisioned, and nothing that is not."""

    DASHBOARD = json.loads((ROOT / "compose/grafana/dashboards/request.json").read_text("utf-8"))
    SOURCES = yaml.safe_load((ROOT / "compose/grafana/datasources/datasources.yaml").read_text("utf-8"))["datasources"]

    def test_every_panel_asks_a_source_that_there_is(self):
        asked = {panel["datasource"]["uid"] for panel in self.DASHBOARD["panels"] if "datasource" in panel}
        assert asked == {source["uid"] for source in self.SOURCES}

    def test_no_query_counts_metrics_of_several_names_at_once(self):
        # `rate` takes the names off, and Prometheus refuses series that are the same then.
        targets = [target for panel in self.DASHBOARD["panels"] for target in panel.get("targets", [])]
        assert [target["expr"] for target in targets if "__name__" in target.get("expr", "")] == []

    def test_the_ways_from_logs_to_traces_and_back_are_there(self):
        by_uid = {source["uid"]: source["jsonData"] for source in self.SOURCES}
        derived = {field["matcherRegex"]: field for field in by_uid["loki"]["derivedFields"]}
        assert derived["trace_id"]["datasourceUid"] == "jaeger"
        assert f"/d/{self.DASHBOARD['uid']}?" in derived["request_id"]["url"]
        assert by_uid["jaeger"]["tracesToLogsV2"]["datasourceUid"] == "loki"
        assert by_uid["prometheus"]["exemplarTraceIdDestinations"][0]["datasourceUid"] == "jaeger"


@pytest.mark.parametrize(
    ("context", "argument"), [(".", "PYTHON_IMAGE"), ("compose/shipping", "NODE_IMAGE")], ids=["python", "node"]
)
def test_the_image_builds(context: str, argument: str):
    docker = shutil.which("docker")
    if docker is None or subprocess.run([docker, "info"], capture_output=True, check=False).returncode:
        pytest.skip("there is no Docker engine here")
    base = TAGS[argument]
    if (
        subprocess.run([docker, "image", "inspect", base], capture_output=True, check=False).returncode
        and subprocess.run([docker, "pull", "--quiet", base], capture_output=True, check=False).returncode
    ):
        pytest.skip(f"{base} cannot be pulled here")
    built = subprocess.run([docker, "build", context], cwd=ROOT, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr[-2000:]
