"""
The orders service of the demo shop, a Starlette application that works in a thread pool and in a process pool.

Everything sits behind a `BaseHTTPMiddleware`, where plain context variables set further in never come up.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import time
import uuid
from collections.abc import AsyncIterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal

import requests
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

import otelctx

logger = logging.getLogger(__name__)

PRICES = {"book": Decimal("12.50"), "pen": Decimal("1.20"), "umbrella": Decimal("19.00")}
DISCOUNTS = {"gold": Decimal("0.90")}
REFUSALS = {404: "no such product", 409: "out of stock"}


@dataclass(frozen=True)
class Workers:
    """The pools, and the addresses of inventory and shipping; the latter is empty where there is none."""

    threads: ThreadPoolExecutor
    processes: ProcessPoolExecutor
    inventory_url: str
    shipping_url: str


class Timing(BaseHTTPMiddleware):
    """Log how long each request took."""

    async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        """Time the rest of the application."""
        start = time.perf_counter()
        response = await call_next(request)
        logger.info("%s took %.0f ms", request.url.path, (time.perf_counter() - start) * 1000)
        return response


def configure_logging() -> None:
    """Log to standard output; here and in the worker processes."""
    logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")


@asynccontextmanager
async def lifespan(_: Starlette) -> AsyncIterator[dict[str, Workers]]:
    """Start the pools; addresses come from INVENTORY_URL and, where shipping runs as well, SHIPPING_URL."""
    configure_logging()
    inventory_url = os.environ.get("INVENTORY_URL", "http://127.0.0.1:8002")
    shipping_url = os.environ.get("SHIPPING_URL", "")
    with (
        ThreadPoolExecutor(max_workers=8) as threads,
        ProcessPoolExecutor(max_workers=2, initializer=configure_logging) as processes,
    ):
        # The first job makes the pool start its processes. Have it now: forking is safest while few threads run.
        processes.submit(os.getpid).result()
        yield {"workers": Workers(threads, processes, inventory_url, shipping_url)}


def reserve(inventory_url: str, sku: str, quantity: int) -> int:
    """Take *quantity* out of the stock and return inventory's status; runs in a thread."""
    logger.info("reserving %d of %s", quantity, sku)
    response = requests.post(f"{inventory_url}/reservations", json={"sku": sku, "quantity": quantity}, timeout=30)
    if response.status_code not in REFUSALS:
        response.raise_for_status()
    return response.status_code


def ship(shipping_url: str, order_id: str, sku: str, quantity: int) -> None:
    """Have the order sent, by a service that is not written in Python; runs in a thread."""
    shipment = {"order_id": order_id, "sku": sku, "quantity": quantity}
    requests.post(f"{shipping_url}/shipments", json=shipment, timeout=30).raise_for_status()


def price(sku: str, quantity: int, tier: str) -> str:
    """Return what *quantity* of *sku* costs; runs in another process."""
    total = (PRICES[sku] * quantity * DISCOUNTS.get(tier, Decimal(1))).quantize(Decimal("0.01"))
    logger.info("priced %d of %s at %s", quantity, sku, total)
    return str(total)


async def create_order(request: Request) -> JSONResponse:
    """Reserve and price; nothing is priced that cannot be had."""
    workers: Workers = request.state.workers
    loop = asyncio.get_running_loop()
    wanted = await request.json()
    sku, quantity = wanted["sku"], wanted["quantity"]
    with otelctx.bind(step="reserve"):
        status = await loop.run_in_executor(workers.threads, reserve, workers.inventory_url, sku, quantity)
    if status in REFUSALS:
        logger.warning("refused: %s", REFUSALS[status])
        return JSONResponse({"detail": REFUSALS[status]}, status)
    with otelctx.bind(step="price"):
        total = await loop.run_in_executor(workers.processes, price, sku, quantity, wanted["tier"])
    order_id = uuid.uuid4().hex[:8]
    if workers.shipping_url:
        await loop.run_in_executor(workers.threads, ship, workers.shipping_url, order_id, sku, quantity)
    logger.info("order %s taken", order_id)
    return JSONResponse({"order_id": order_id, "total": total}, 201)


async def healthz(_: Request) -> JSONResponse:
    """Say that the service answers."""
    return JSONResponse({"status": "ok"})


app = Starlette(
    routes=[Route("/orders", create_order, methods=["POST"]), Route("/healthz", healthz)],
    middleware=[Middleware(Timing)],
    lifespan=lifespan,
)
