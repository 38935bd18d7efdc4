"""
The gateway of the demo shop, a FastAPI application: it finds out who asks, then asks orders and inventory.

It is an ordinary application: the one line about context is the `otelctx.set` after the token check.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated

import httpx
from fastapi import BackgroundTasks, Depends, FastAPI, Header, HTTPException, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, PositiveInt

import otelctx

logger = logging.getLogger(__name__)

TOKENS = {"alice-token": "alice", "bob-token": "bob"}
TIERS = {"alice": "gold", "bob": "standard"}
EXPORTED = ("book", "pen", "umbrella")


@dataclass(frozen=True)
class Backends:
    """The services behind the gateway, and the one client that calls them."""

    client: httpx.AsyncClient
    orders_url: str
    inventory_url: str


class Basket(BaseModel):
    """What a customer wants to buy."""

    sku: str
    quantity: PositiveInt = 1


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[dict[str, Backends]]:
    """Set up logging and the client; the services' addresses come from ORDERS_URL and INVENTORY_URL."""
    logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    async with httpx.AsyncClient(timeout=30) as client:
        orders_url = os.environ.get("ORDERS_URL", "http://127.0.0.1:8001")
        inventory_url = os.environ.get("INVENTORY_URL", "http://127.0.0.1:8002")
        yield {"backends": Backends(client, orders_url, inventory_url)}


async def backends(request: Request) -> Backends:
    """Return what the lifespan made."""
    found: Backends = request.state.backends
    return found


def signed_in(authorization: Annotated[str, Header()] = "") -> str:
    """Return the user whose bearer token came; a plain function, so that FastAPI runs it in a worker thread."""
    user_id = TOKENS.get(authorization.removeprefix("Bearer "))
    if user_id is None:
        logger.warning("unknown token")
        raise HTTPException(401, "unknown token; try 'Authorization: Bearer alice-token'")
    otelctx.set(user_id=user_id)
    return user_id


async def tier(user_id: Annotated[str, Depends(signed_in)]) -> str:
    """Return the user's tier."""
    found = TIERS[user_id]
    logger.info("welcome, %s customer", found)
    return found


app = FastAPI(title="gateway", lifespan=lifespan)


@app.post("/checkout")
async def checkout(
    basket: Basket,
    user_id: Annotated[str, Depends(signed_in)],
    tier: Annotated[str, Depends(tier)],
    backends: Annotated[Backends, Depends(backends)],
    background: BackgroundTasks,
) -> dict[str, str]:
    """Order the basket; the receipt is sent when the answer is already out."""
    try:
        wanted = {**basket.model_dump(), "tier": tier}
        response = await backends.client.post(f"{backends.orders_url}/orders", json=wanted)
        if response.status_code in {404, 409}:
            raise HTTPException(response.status_code, response.json()["detail"])
        response.raise_for_status()
    except httpx.HTTPError as error:
        logger.exception("cannot order %s", basket.sku)
        raise HTTPException(502, "orders cannot take the order") from error
    order: dict[str, str] = response.json()
    background.add_task(send_receipt, backends, user_id, basket.sku, order["order_id"])
    return order


async def send_receipt(backends: Backends, user_id: str, sku: str, order_id: str) -> None:
    """Tell *user_id* when the order leaves."""
    logger.info("writing the receipt of order %s", order_id)
    stock = (await backends.client.get(f"{backends.inventory_url}/stock/{sku}")).json()
    logger.info("receipt sent to %s: ships %s", user_id, "today" if stock["available"] else "later")


@app.get("/export", dependencies=[Depends(tier)])
async def export(backends: Annotated[Backends, Depends(backends)]) -> StreamingResponse:
    """Stream the stock as CSV, a row at a time."""
    return StreamingResponse(stock_rows(backends), media_type="text/csv")


async def stock_rows(backends: Backends) -> AsyncIterator[str]:
    """Yield one line for each product."""
    for sku in EXPORTED:
        stock = (await backends.client.get(f"{backends.inventory_url}/stock/{sku}")).json()
        logger.info("exporting %s", sku)
        yield f"{sku},{stock['available']}\n"
    logger.info("export finished after %d rows", len(EXPORTED))


@app.get("/healthz")
async def healthz() -> dict[str, str]:
    """Say that the service answers."""
    return {"status": "ok"}
