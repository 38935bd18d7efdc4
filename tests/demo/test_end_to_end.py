"""
Three real services under both launchers, and what the collector got from them.

Nothing here looks into a service: a request is made, and its records are read where they arrived.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import httpx
import pytest

from otelctx.demo.arrival import wait_for_stories
from otelctx.demo.readiness import wait_until
from otelctx.demo.services import Launcher
from otelctx.demo.stack import Stack, demo_stack
from otelctx.demo.traffic import VISITS, Answer, Visit, pay_visits

Record: TypeAlias = dict[str, Any]

CROWD = 200
_PAGE = 1000


@dataclass(frozen=True)
class Scene:
    """A stack, when the first request was sent, and the answers and stories of the demo's own visits."""

    stack: Stack
    first: int
    answers: dict[str, Answer]
    stories: dict[str, Record]

    def logs(self, title: str, text: str = "") -> list[Record]:
        """Return the logs with *text* of the visit *title*."""
        return [log for log in self.stories[title]["logs"] if text in log["body"]]

    def log(self, title: str, text: str) -> Record:
        """Return the one log with *text* of the visit *title*."""
        (log,) = self.logs(title, text)
        return log

    def records(self, title: str) -> list[Record]:
        """Return all spans and logs of the visit *title*."""
        return [*self.stories[title]["spans"], *self.stories[title]["logs"]]


@pytest.fixture(scope="module", params=["otelctx", "opentelemetry-instrument"])
def scene(request: pytest.FixtureRequest) -> Iterator[Scene]:
    launcher: Launcher = request.param
    with demo_stack(launcher=launcher) as stack:
        first = time.time_ns()
        answers = pay_visits(VISITS, gateway_url=stack.gateway_url, check=stack.check)
        stories = wait_for_stories(stack.collector_url, answers, check=stack.check)
        yield Scene(
            stack,
            first,
            {answer.visit.title: answer for answer in answers},
            {answer.visit.title: dict(stories[answer.request_id]) for answer in answers},
        )


def everything(collector_url: str, kind: str) -> list[Record]:
    """Return all spans or logs that the collector has, page by page."""
    found: dict[str, Record] = {}
    since = 0
    with httpx.Client(base_url=collector_url, timeout=30, trust_env=False) as client:
        while True:
            page = client.get(f"/api/{kind}", params={"since": since, "limit": _PAGE}).raise_for_status().json()[kind]
            before = len(found)
            found.update((repr(record), record) for record in page)
            if len(page) < _PAGE:
                return list(found.values())
            assert len(found) > before, "more records with one time than fit on a page"
            since = max(time_of(record) for record in page)


def time_of(record: Record) -> int:
    return int(record.get("start_unix_nano") or record["time_unix_nano"])


def describe(record: Record) -> tuple[object, ...]:
    return tuple(record.get(name) for name in ("service", "scope", "name", "body", "request_id", "user_id"))


every_visit = pytest.mark.parametrize("title", [visit.title for visit in VISITS])


class TestEveryRecord:
    """Each span and log line of a request, in all three services, carries what the request carries."""

    @every_visit
    def test_request_id(self, scene: Scene, title: str) -> None:
        request_id = scene.answers[title].request_id
        assert [describe(record) for record in scene.records(title) if record["request_id"] != request_id] == []

    @every_visit
    def test_user_id(self, scene: Scene, title: str) -> None:
        user_id = scene.answers[title].visit.user_id
        assert [describe(record) for record in scene.records(title) if record["user_id"] != user_id] == []

    @every_visit
    def test_one_trace(self, scene: Scene, title: str) -> None:
        assert len({record["trace_id"] for record in scene.records(title)}) == 1

    @every_visit
    def test_one_root_in_the_gateway(self, scene: Scene, title: str) -> None:
        roots = [span for span in scene.stories[title]["spans"] if span["parent_span_id"] is None]
        assert [(root["service"], root["kind"]) for root in roots] == [("gateway", "server")]

    @every_visit
    def test_one_server_span_for_each_call(self, scene: Scene, title: str) -> None:
        spans = scene.stories[title]["spans"]
        calls = sorted(span["span_id"] for span in spans if span["kind"] == "client")
        served = sorted(span["parent_span_id"] for span in spans if span["kind"] == "server" and span["parent_span_id"])
        assert served == calls

    def test_records_without_a_request_are_of_the_start(self, scene: Scene) -> None:
        records = [record for kind in ("logs", "spans") for record in everything(scene.stack.collector_url, kind)]
        lost = [record for record in records if record["request_id"] is None and time_of(record) >= scene.first]
        assert [describe(record) for record in lost] == []


class TestPlaces:
    """The places where Python loses a context lose nothing."""

    def test_access_logs(self, scene: Scene) -> None:
        expected = {
            "gateway": '"POST /checkout',
            "orders": '"POST /orders',
            "inventory": '"POST /reservations',
        }
        for service, text in expected.items():
            assert scene.log("buys a book", text)["service"] == service

    def test_background_task_and_what_it_calls(self, scene: Scene) -> None:
        assert scene.log("buys a book", "receipt sent to alice")["service"] == "gateway"
        assert scene.log("buys a book", "of book in stock")["service"] == "inventory"

    def test_thread_pool(self, scene: Scene) -> None:
        assert scene.log("buys a pen", "reserving 1 of pen")["attributes"]["step"] == "reserve"

    def test_process_pool(self, scene: Scene) -> None:
        log = scene.log("buys a pen", "priced 1 of pen")
        assert log["attributes"]["step"] == "price"
        assert log["service"] == "orders"

    def test_streaming(self, scene: Scene) -> None:
        assert len(scene.logs("streams the stock", "exporting")) == 3
        assert scene.log("streams the stock", "export finished")["user_id"] == "alice"

    def test_exceptions(self, scene: Scene) -> None:
        errors = {log["service"] for log in scene.logs("breaks a shelf") if log["severity_number"] >= 17}
        assert errors == {"gateway", "orders", "inventory"}

    def test_error_marks_the_story(self, scene: Scene) -> None:
        errors = {title: story["error"] for title, story in scene.stories.items()}
        assert (errors["buys a book"], errors["streams the stock"], errors["breaks a shelf"]) == (False, False, True)

    def test_binding_ends_with_its_block(self, scene: Scene) -> None:
        assert "step" not in scene.log("buys a pen", "taken")["attributes"]

    def test_local_field_stays_in_its_process(self, scene: Scene) -> None:
        story = scene.stories["buys a pen"]
        elsewhere = [
            record
            for record in (*story["logs"], *story["spans"])
            if record["service"] != "orders" and "step" in record["attributes"]
        ]
        assert elsewhere == []


class TestCrowd:
    """Two users and many requests at once never mix."""

    def test_no_record_has_the_values_of_another_request(self, scene: Scene) -> None:
        checkout = {visit.user_id: visit for visit in VISITS[:2]}
        visits = [checkout[user_id] for user_id in ("alice", "bob")] * (CROWD // 2)
        sent = asyncio.run(send(scene.stack.gateway_url, visits))
        wait_for_stories(scene.stack.collector_url, sent, check=scene.stack.check, patience=60)

        users = {answer.request_id: answer.visit.user_id for answer in sent}
        assert len(users) == CROWD
        for kind in ("logs", "spans"):
            records = everything(scene.stack.collector_url, kind)
            mixed = [
                record for record in records if record["user_id"] != users.get(record["request_id"], record["user_id"])
            ]
            assert [describe(record) for record in mixed] == []
            lost = [record for record in records if record["request_id"] is None and time_of(record) >= scene.first]
            assert [describe(record) for record in lost] == []
            traces = {(record["request_id"], record["trace_id"]) for record in records if record["request_id"] in users}
            assert len(traces) == CROWD


class TestRequestId:
    """The gateway adopts a request id that comes in, and echoes the one it uses."""

    def test_valid_one_is_adopted(self, scene: Scene) -> None:
        mine = uuid.uuid4().hex
        response = httpx.get(f"{scene.stack.gateway_url}/export", headers={"x-request-id": mine}, trust_env=False)
        assert (response.status_code, response.headers.get_list("x-request-id")) == (401, [mine])

    def test_invalid_one_is_replaced(self, scene: Scene) -> None:
        response = httpx.get(f"{scene.stack.gateway_url}/healthz", headers={"x-request-id": "a b;c"}, trust_env=False)
        (request_id,) = response.headers.get_list("x-request-id")
        assert request_id != "a b;c"
        assert uuid.UUID(request_id).version == 7

    @pytest.mark.parametrize("service", ["gateway", "orders", "inventory"])
    def test_every_service_echoes(self, scene: Scene, service: str) -> None:
        url = getattr(scene.stack, f"{service}_url")
        headers = {"x-request-id": f"echo-{service}"}
        response = httpx.get(f"{url}/healthz", headers=headers, trust_env=False)
        assert response.headers.get_list("x-request-id") == [f"echo-{service}"]


class TestEnd:
    """What a service has said is delivered when it is asked to end, not only when its time to export comes."""

    def test_nothing_is_lost_when_the_services_are_terminated(self) -> None:
        rarely = {"OTEL_BSP_SCHEDULE_DELAY": "600000", "OTEL_BLRP_SCHEDULE_DELAY": "600000"}
        with demo_stack(settings=rarely) as stack:
            answers = pay_visits(VISITS[:1], gateway_url=stack.gateway_url, check=stack.check)
            gateway = stack.processes["gateway"]
            deadline = time.monotonic() + 10
            assert wait_until(lambda: "receipt sent" in gateway.tail(), check=stack.check, deadline=deadline)
            for name in ("gateway", "orders", "inventory"):
                stack.processes[name].popen.terminate()
            for name in ("gateway", "orders", "inventory"):
                stack.processes[name].popen.wait(30)
            wait_for_stories(stack.collector_url, answers, check=stack.processes["collector"].check)


async def send(gateway_url: str, visits: list[Visit]) -> list[Answer]:
    """Send all *visits* at once, each with a request id of its own."""
    limits = httpx.Limits(max_connections=len(visits))
    async with httpx.AsyncClient(base_url=gateway_url, timeout=60, limits=limits, trust_env=False) as client:

        async def one(visit: Visit) -> Answer:
            request_id = uuid.uuid4().hex
            headers = {"authorization": f"Bearer {visit.user_id}-token", "x-request-id": request_id}
            response = await client.request(visit.method, visit.path, headers=headers, json={"sku": visit.sku})
            assert (response.status_code, response.headers["x-request-id"]) == (visit.status, request_id)
            return Answer(visit, request_id)

        return list(await asyncio.gather(*(one(visit) for visit in visits)))
