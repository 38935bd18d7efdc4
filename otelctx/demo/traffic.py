"""
The visits that the demo pays to the shop, all at once.

Each names what it must leave behind in the collector, so that whoever waits for it need not guess how long.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import httpx

from otelctx.errors import OtelctxError

_POLL_SECONDS = 0.1


class WrongAnswerError(OtelctxError):
    """A service answered something else than the demo expects."""


@dataclass(frozen=True)
class Visit:
    """One request to the gateway; *leaves* are pairs of a service and a part of a log line that it must write."""

    title: str
    user_id: str
    method: str
    path: str
    status: int
    leaves: frozenset[tuple[str, str]]
    sku: str | None = None


@dataclass(frozen=True)
class Answer:
    """What came back for a visit."""

    visit: Visit
    request_id: str


_CHECKOUT = frozenset(
    {
        ("gateway", '"POST /checkout'),
        ("orders", '"POST /orders'),
        ("inventory", '"POST /reservations'),
    }
)
_RECEIPT = frozenset({("orders", "priced"), ("gateway", "receipt sent"), ("inventory", '"GET /stock/')})
_EXPORT = frozenset({("gateway", '"GET /export'), ("gateway", "export finished"), ("inventory", '"GET /stock/')})

VISITS = (
    Visit("buys a book", "alice", "POST", "/checkout", 200, _CHECKOUT | _RECEIPT, "book"),
    Visit("buys a pen", "bob", "POST", "/checkout", 200, _CHECKOUT | _RECEIPT, "pen"),
    Visit("wants what is sold out", "alice", "POST", "/checkout", 409, _CHECKOUT, "umbrella"),
    Visit("breaks a shelf", "bob", "POST", "/checkout", 502, _CHECKOUT | {("gateway", "cannot order")}, "broken"),
    Visit("streams the stock", "alice", "GET", "/export", 200, _EXPORT),
)


def pay_visits(visits: Sequence[Visit], *, gateway_url: str, check: Callable[[], None]) -> list[Answer]:
    """
    Send *visits* concurrently and return their answers in the same order.

    *check* is called while they are under way and raises when a service has died.

    Raises:
        WrongAnswerError: for another status than expected, or an answer without a request id.
    """
    return asyncio.run(_pay_visits(visits, gateway_url, check))


async def _pay_visits(visits: Sequence[Visit], gateway_url: str, check: Callable[[], None]) -> list[Answer]:
    async with httpx.AsyncClient(base_url=gateway_url, timeout=30, trust_env=False) as client:
        under_way = asyncio.gather(*(_pay_visit(client, visit) for visit in visits))
        try:
            while not under_way.done():
                await asyncio.wait([under_way], timeout=_POLL_SECONDS)
                check()
            return await under_way
        finally:
            under_way.cancel()


async def _pay_visit(client: httpx.AsyncClient, visit: Visit) -> Answer:
    headers = {"authorization": f"Bearer {visit.user_id}-token"}
    body = None if visit.sku is None else {"sku": visit.sku}
    asked = f"{visit.method} {visit.path}"
    try:
        response = await client.request(visit.method, visit.path, headers=headers, json=body)
    except httpx.HTTPError as error:
        message = f"The gateway did not answer {asked}: {error!r}"
        raise WrongAnswerError(message) from error
    if response.status_code != visit.status:
        message = f"The gateway answered {asked} with status {response.status_code}, not {visit.status}"
        raise WrongAnswerError(message)
    request_id = response.headers.get("x-request-id")
    if request_id is None:
        message = f"The gateway answered {asked} without 'x-request-id'; does otelctx run in it?"
        raise WrongAnswerError(message)
    return Answer(visit, request_id)
