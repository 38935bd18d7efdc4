"""
Redacted fields in two services with a real collector: the clear values are nowhere in its database, nor in any line.

What makes the story has no clear value, so the story has none.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from otelctx.core.redaction import HashKey

KEY = "k" * 32
CONFIGURATION = """
[otelctx.fields.user_id]
redact = "hash"
metric = true

[otelctx.fields.tenant]
remote = true
header = "x-tenant"
echo = true
redact = { logs = "hash", spans = "hash", metrics = "hash" }
metric = true

[otelctx.fields.card]
redact = { logs = "drop", spans = "mask" }

[otelctx.redaction]
key_file = "key"
"""

USER, TENANT, CARD, PLAN = (f"{name}-{uuid4().hex}" for name in ("user", "tenant", "card", "plan"))


class Run:
    """One request over two services, an error in the first, and all that both have left."""

    def __init__(self, start: Any, folder: Path) -> None:
        (folder / "otelctx.toml").write_text(CONFIGURATION)
        (folder / "key").write_text(KEY)
        options = {"instrumentations": ("fastapi", "httpx"), "cwd": folder}
        self.services = [start("uvicorn", "--port", "{port}", "private:app", **options) for _ in range(2)]
        first, second = self.services
        given = {"authorization": f"{USER} {TENANT} {CARD} {PLAN}", "x-request-id": "private"}
        self.answer = first.get(f"/start?url=http://127.0.0.1:{second.port}/work", given)
        self.failure = first.get("/fail", {"authorization": USER, "x-request-id": "failed"})
        for service in self.services:
            service.stop()
        self.output = "".join(service.output for service in self.services)
        self.records = [record for service in self.services for record in (*service.spans(), *service.logs())]

    def attributes(self, name: str) -> set[object]:
        found = [record["attributes"].get(name) for record in self.records if record["request_id"] == "private"]
        return {value for value in found if value is not None}


@pytest.fixture(scope="module")
def run(make_service: Any, tmp_path_factory: pytest.TempPathFactory) -> Run:
    def start(*command: str, **options: Any) -> Any:
        service = make_service(*command, **options)
        service.wait_until_ready()
        return service

    return Run(start, tmp_path_factory.mktemp("private"))


def hashed(name: str, text: str) -> str:
    return HashKey(KEY.encode()).hash(name, text)


def test_the_process_has_the_clear_value_and_the_next_one_its_hash(run: Run) -> None:
    assert json.loads(run.answer.body) == {"kept": USER, "sent": hashed("user_id", USER)}


def test_both_services_show_the_same_hash_whether_it_came_clear_or_hashed(run: Run) -> None:
    assert run.attributes("user.id") == {hashed("user_id", USER)}
    assert run.attributes("tenant") == {hashed("tenant", TENANT)}
    assert run.attributes("card") == {"***"}


def test_the_collector_finds_the_request_by_the_hash(run: Run) -> None:
    found = run.services[0].collector.spans(user_id=hashed("user_id", USER))
    assert {span["service"] for span in found} == {service.name for service in run.services}


def test_no_clear_value_is_in_the_database(run: Run) -> None:
    content = b"".join(path.read_bytes() for path in run.services[0].collector.store.parent.glob("store.sqlite3*"))
    assert PLAN.encode() in content
    assert hashed("tenant", TENANT).encode() in content
    assert [text for text in (USER, TENANT, CARD) if text.encode() in content] == []


def test_no_clear_value_is_in_what_the_services_printed(run: Run) -> None:
    assert PLAN in run.output
    assert "RuntimeError: it failed" in run.output
    assert [text for text in (USER, TENANT, CARD) if text in run.output] == []


def test_metrics_have_the_hash(run: Run) -> None:
    metrics = [metric for service in run.services for metric in service.collector.metrics(service=service.name)]
    text = json.dumps(metrics)
    assert hashed("user_id", USER) in text
    assert re.findall(f"{USER}|{TENANT}|{CARD}", text) == []
