"""
Builders of what the query interface answers, and one realistic request.

Times are milliseconds after a fixed start; the records are the same in every run.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

START = 1_795_412_964_123_000_000  # 2026-11-23 05:49:24.123 UTC
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
REQUEST = "019aafc2-7c1a-7c4e-9f0e-3c9d5b2a7e10"

STACK = """Traceback (most recent call last):
  File "/srv/orders/app.py", line 88, in create_order
    receipt = await charge(order)
  File "/srv/orders/payment.py", line 42, in charge
    raise PaymentDeclined(reason)
orders.payment.PaymentDeclined: card expired
"""

SLOW = (
    "slow query: SELECT sku, warehouse, amount FROM stock WHERE sku = ? AND amount > 0 ORDER BY warehouse took 15.4 "
    "ms, more than the 10 ms that were expected of it on this machine; an index on (sku, warehouse) would help"
)


def at(milliseconds: float) -> str:
    """Return a time that many milliseconds after the start, as the query interface writes it."""
    return str(START + round(milliseconds * 1_000_000))


def span(  # noqa: PLR0917 -- as short as a line of a table
    span_id: str,
    parent: str | None,
    service: str,
    name: str,
    start: float,
    end: float,
    /,
    kind: str = "internal",
    **more: Any,
) -> dict[str, Any]:
    """Return one span of the query interface, from *start* to *end* in milliseconds."""
    fields = {"request_id": REQUEST, "user.id": "alice"}
    return {
        "trace_id": TRACE,
        "span_id": span_id,
        "parent_span_id": parent,
        "name": name,
        "kind": kind,
        "service": service,
        "scope": "test",
        "start_unix_nano": at(start),
        "end_unix_nano": at(end),
        "status": {"code": "error" if more.pop("error", False) else "unset", "message": more.pop("message", "")},
        "request_id": REQUEST,
        "user_id": "alice",
        "attributes": fields | more.pop("attributes", {}),
        "events": more.pop("events", []),
        "links": [],
        "resource": {"service.name": service},
    } | more


def log(  # noqa: PLR0917 -- as short as a line of a table
    span_id: str | None, service: str, logger: str, time: float, level: str, body: str, /, **more: Any
) -> dict[str, Any]:
    """Return one log line of the query interface, *time* in milliseconds."""
    number = {"DEBUG": 5, "INFO": 9, "WARN": 13, "ERROR": 17}[level]
    fields = {"request_id": REQUEST, "user.id": "alice"}
    return {
        "time_unix_nano": at(time),
        "observed_time_unix_nano": at(time),
        "severity_number": number,
        "severity_text": level,
        "body": body,
        "event_name": None,
        "service": service,
        "scope": logger,
        "trace_id": TRACE,
        "span_id": span_id,
        "request_id": REQUEST,
        "user_id": "alice",
        "attributes": fields | more.pop("attributes", {}),
        "resource": {"service.name": service},
    } | more


def event(name: str, time: float, **attributes: Any) -> dict[str, Any]:
    """Return one span event of the query interface, *time* in milliseconds."""
    return {
        "name": name,
        "time_unix_nano": at(time),
        "attributes": {k.replace("__", "."): v for k, v in attributes.items()},
    }


def story(spans: list[dict[str, Any]], logs: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    """Return the answer of the query interface for *spans* and *logs*."""
    services = sorted({record["service"] for record in [*spans, *logs]})
    return {
        "request_id": REQUEST,
        "user_id": "alice",
        "trace_ids": [TRACE],
        "services": services,
        "start_unix_nano": at(0),
        "end_unix_nano": at(0),
        "error": any(record["status"]["code"] == "error" for record in spans),
        "spans": spans,
        "logs": logs,
    } | more


def checkout() -> dict[str, Any]:
    """Return the story of a checkout whose payment is declined."""
    raised = event(
        "exception", 151.1, exception__type="orders.payment.PaymentDeclined", exception__message="card expired"
    )
    raised["attributes"]["exception.stacktrace"] = STACK
    error = {
        "exception.type": "orders.payment.PaymentDeclined",
        "exception.message": "card expired",
        "exception.stacktrace": STACK,
    }
    charge = {"step": "charge"}
    spans = [
        span(
            "a1",
            None,
            "gateway",
            "POST /checkout",
            0,
            168.4,
            "server",
            error=True,
            events=[event("otelctx.set", 2.14, user__id="alice")],
            attributes={
                "otelctx.request_id.origin": "generated",
                "http.response.status_code": 502,
                "otelctx.fields": ["request_id", "user.id", "step"],
            },
        ),
        span("a2", "a1", "gateway", "check_token", 0.9, 2.3),
        span(
            "a3",
            "a1",
            "gateway",
            "POST",
            3.2,
            164.9,
            "client",
            error=True,
            attributes={
                "url.full": "http://127.0.0.1:8001/orders",
                "server.address": "127.0.0.1",
                "server.port": 8001,
                "http.response.status_code": 402,
            },
        ),
        span(
            "b1",
            "a3",
            "orders",
            "POST /orders",
            5.1,
            162.8,
            "server",
            attributes={
                "otelctx.request_id.origin": "received",
                "http.response.status_code": 402,
                "server.address": "127.0.0.1",
                "server.port": 8001,
            },
        ),
        span("b2", "b1", "orders", "load cart", 6.4, 31.9),
        span(
            "b3",
            "b2",
            "orders",
            "GET",
            7.5,
            30.2,
            "client",
            attributes={"url.full": "http://127.0.0.1:8002/stock/4711?token=s3cret", "http.response.status_code": 200},
        ),
        span(
            "c1",
            "b3",
            "inventory",
            "GET /stock/<sku>",
            9.3,
            28.8,
            "server",
            attributes={"http.response.status_code": 200},
        ),
        span("c2", "c1", "inventory", "SELECT stock", 11.0, 26.4, "client", attributes={"db.system.name": "sqlite"}),
        span("b4", "b1", "orders", "price in process pool", 33.0, 88.0),
        span("b5", "b1", "orders", "charge", 90.4, 151.2, error=True, events=[raised], attributes=charge),
        span(
            "b6",
            "b5",
            "orders",
            "POST",
            91.8,
            150.3,
            "client",
            attributes=charge
            | {"url.full": "https://api.payments.example/v1/charges", "http.response.status_code": 402},
        ),
        span("a4", "a1", "gateway", "send apology mail", 169.0, 412.0),
    ]
    logs = [
        log("a1", "gateway", "gateway.auth", 2.2, "INFO", "token accepted for alice"),
        log("a2", "gateway", "gateway.auth", 1.1, "DEBUG", "decoding token (3 parts, kid=2026-11)"),
        log("b1", "orders", "orders.app", 5.9, "INFO", "new order: 2 lines, 59.80 EUR"),
        log("b2", "orders", "orders.cart", 6.8, "DEBUG", "cart has 2 articles"),
        log("c1", "inventory", "inventory.app", 10.1, "INFO", "stock of 4711 requested"),
        log(
            "c2",
            "inventory",
            "inventory.db",
            25.9,
            "WARN",
            SLOW,
        ),
        log(
            "c1",
            "inventory",
            "werkzeug",
            28.7,
            "INFO",
            '127.0.0.1 - - [23/Nov/2026 05:49:24] "GET /stock/4711 HTTP/1.1" 200 -',
        ),
        log("b4", "orders", "orders.pricing", 34.2, "INFO", "pricing 2 lines in the process pool"),
        log("b4", "orders", "orders.pricing", 87.6, "INFO", "priced: 59.80 EUR"),
        log("b5", "orders", "orders.payment", 90.9, "INFO", "charging 59.80 EUR", attributes=charge),
        log(
            "b5", "orders", "orders.payment", 151.0, "ERROR", "payment of order 1042 failed", attributes=charge | error
        ),
        log("b1", "orders", "uvicorn.access", 162.6, "INFO", '127.0.0.1:51234 - "POST /orders HTTP/1.1" 402'),
        log("a1", "gateway", "gateway.checkout", 165.3, "ERROR", "orders answered 402: order was refused"),
        log("a1", "gateway", "uvicorn.access", 168.2, "INFO", '127.0.0.1:40522 - "POST /checkout HTTP/1.1" 502'),
        log("a4", "gateway", "gateway.mail", 411.3, "INFO", "mail to alice queued"),
    ]
    return story(spans, logs)


@pytest.fixture(scope="session")
def make() -> SimpleNamespace:
    return SimpleNamespace(
        span=span, log=log, event=event, story=story, checkout=checkout, start=START, request_id=REQUEST
    )
