"""The demo services as plain applications, without any telemetry."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import httpx
import pytest
from flask.testing import FlaskClient
from starlette.types import Receive, Scope, Send

from otelctx.demo import gateway, inventory
from otelctx.demo.stack import Stack, demo_stack

ALICE = {"authorization": "Bearer alice-token"}
BOB = {"authorization": "Bearer bob-token"}


@pytest.fixture(scope="module")
def plain_stack() -> Iterator[Stack]:
    with demo_stack(launcher="plain", collector_url="http://127.0.0.1:1") as stack:
        yield stack


@pytest.fixture
def shop(plain_stack: Stack) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=plain_stack.gateway_url, trust_env=False, timeout=30) as client:
        yield client


class TestInventory:
    """Inventory knows what is in stock and gives it out."""

    @pytest.fixture
    def client(self) -> FlaskClient:
        return inventory.create_app().test_client()

    def test_stock_is_looked_up(self, client: FlaskClient) -> None:
        assert client.get("/stock/umbrella").json == {"sku": "umbrella", "available": 0}

    def test_what_is_reserved_is_gone(self, client: FlaskClient) -> None:
        before = client.get("/stock/book").get_json()["available"]
        response = client.post("/reservations", json={"sku": "book", "quantity": 2})
        assert (response.status_code, response.json) == (201, {"sku": "book", "left": before - 2})
        assert client.get("/stock/book").get_json()["available"] == before - 2

    def test_each_application_has_its_own_stock(self, client: FlaskClient) -> None:
        client.post("/reservations", json={"sku": "book", "quantity": 2})
        fresh = inventory.create_app().test_client()
        assert fresh.get("/stock/book").get_json()["available"] == inventory.STOCK["book"]

    def test_out_of_stock_is_a_conflict(self, client: FlaskClient) -> None:
        assert client.post("/reservations", json={"sku": "umbrella", "quantity": 1}).status_code == 409

    @pytest.mark.parametrize(("method", "path"), [("GET", "/stock/unicorn"), ("POST", "/reservations")])
    def test_unknown_product_is_not_found(self, client: FlaskClient, method: str, path: str) -> None:
        body = {"sku": "unicorn", "quantity": 1} if method == "POST" else None
        assert client.open(path, method=method, json=body).status_code == 404

    def test_broken_product_is_an_error_and_logged(self, client: FlaskClient, caplog: pytest.LogCaptureFixture) -> None:
        assert client.post("/reservations", json={"sku": "broken", "quantity": 1}).status_code == 500
        errors = [record for record in caplog.records if record.levelno == logging.ERROR]
        assert [str(record.exc_info and record.exc_info[1]) for record in errors] == ["the shelf collapsed"]


class TestGateway:
    """The gateway lets only known users in and turns what is behind it into their answers."""

    @pytest.mark.parametrize(
        "headers", [{}, {"authorization": "Bearer mallory-token"}, {"authorization": "Basic eA=="}]
    )
    def test_unknown_user_is_refused(self, shop: httpx.Client, headers: dict[str, str]) -> None:
        assert shop.get("/export", headers=headers).status_code == 401
        assert shop.post("/checkout", headers=headers, json={"sku": "book"}).status_code == 401

    @pytest.mark.parametrize("basket", [{}, {"sku": "book", "quantity": 0}, {"sku": 1}])
    def test_nonsense_is_refused(self, shop: httpx.Client, basket: dict[str, object]) -> None:
        assert shop.post("/checkout", headers=ALICE, json=basket).status_code == 422

    async def test_nobody_behind_it_is_a_bad_gateway(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("ORDERS_URL", "http://127.0.0.1:1")
        async with gateway.lifespan(gateway.app) as state:

            async def app(scope: Scope, receive: Receive, send: Send) -> None:
                await gateway.app({**scope, "state": dict(state)}, receive, send)

            async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as client:
                response = await client.post("/checkout", headers=ALICE, json={"sku": "book"})
        assert response.status_code == 502


class TestShop:
    """The three services work together, each in its own process."""

    def test_price_depends_on_quantity_and_customer(self, shop: httpx.Client) -> None:
        totals = [
            shop.post("/checkout", headers=headers, json={"sku": "book", "quantity": quantity}).json()["total"]
            for headers, quantity in ((ALICE, 1), (ALICE, 3), (BOB, 1))
        ]
        assert totals == ["11.25", "33.75", "12.50"]

    def test_receipt_is_sent_after_the_answer(self, shop: httpx.Client, plain_stack: Stack) -> None:
        order_id = shop.post("/checkout", headers=BOB, json={"sku": "pen"}).json()["order_id"]
        assert shop.get("/healthz").status_code == 200
        log = plain_stack.processes["gateway"].tail(100)
        assert log.index('"POST /checkout') < log.index(f"writing the receipt of order {order_id}")

    @pytest.mark.parametrize(("sku", "status"), [("umbrella", 409), ("unicorn", 404), ("broken", 502)])
    def test_refusals_come_through(self, shop: httpx.Client, sku: str, status: int) -> None:
        assert shop.post("/checkout", headers=ALICE, json={"sku": sku}).status_code == status

    def test_stock_is_exported_as_rows(self, shop: httpx.Client) -> None:
        response = shop.get("/export", headers=BOB)
        assert response.headers["content-type"].startswith("text/csv")
        assert [line.split(",")[0] for line in response.text.splitlines()] == ["book", "pen", "umbrella"]

    def test_work_in_threads_and_processes_is_logged(self, shop: httpx.Client, plain_stack: Stack) -> None:
        shop.post("/checkout", headers=ALICE, json={"sku": "pen", "quantity": 7}).raise_for_status()
        log = plain_stack.processes["orders"].tail(1000)
        assert "reserving 7 of pen" in log
        assert "priced 7 of pen at 7.56" in log
