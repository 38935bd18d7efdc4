"""
A steady load on the demo's gateway, for the profile `load` of docker-compose.yml: `python -m otelctx.demo.load URL`.

Visits start at the given rate however slow the answers are, up to a bound of visits under way; what would exceed it is
counted as skipped.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from typing import Annotated

import httpx
import typer

from otelctx.demo.traffic import VISITS, Visit

_UNDER_WAY = 200
_REPORT_SECONDS = 10.0


async def load(gateway_url: str, *, rate: float, seconds: float | None = None) -> Counter[str]:
    """Pay *rate* visits a second for *seconds*, or until cancelled, and return how often each end was reached."""
    loop = asyncio.get_running_loop()
    ends: Counter[str] = Counter()
    under_way: set[asyncio.Task[None]] = set()
    start = loop.time()
    report_at = start + _REPORT_SECONDS
    limits = httpx.Limits(max_connections=_UNDER_WAY)
    async with httpx.AsyncClient(base_url=gateway_url, timeout=30, trust_env=False, limits=limits) as client:
        for number, visit in enumerate(itertools.cycle(VISITS)):
            due = start + number / rate
            if seconds is not None and due > start + seconds:
                break
            await asyncio.sleep(max(0.0, due - loop.time()))
            if len(under_way) < _UNDER_WAY:
                task = asyncio.create_task(_pay(client, visit, ends))
                under_way.add(task)
                task.add_done_callback(under_way.discard)
            else:
                ends["skipped"] += 1
            if loop.time() >= report_at:
                report_at += _REPORT_SECONDS
                print(dict(ends), flush=True)  # noqa: T201 -- a program of its own
        await asyncio.gather(*under_way)
    return ends


async def _pay(client: httpx.AsyncClient, visit: Visit, ends: Counter[str]) -> None:
    headers = {"authorization": f"Bearer {visit.user_id}-token"}
    body = None if visit.sku is None else {"sku": visit.sku}
    try:
        response = await client.request(visit.method, visit.path, headers=headers, json=body)
    except httpx.HTTPError as error:
        ends[type(error).__name__] += 1
    else:
        ends["as expected" if response.status_code == visit.status else f"status {response.status_code}"] += 1


def main(
    gateway_url: str,
    rate: Annotated[float, typer.Option(help="Visits a second.", min=0.1)] = 5.0,
    seconds: Annotated[float | None, typer.Option(help="How long; without it, until it is ended.")] = None,
) -> None:
    """Visit the gateway steadily and say how the visits end."""
    print(dict(asyncio.run(load(gateway_url, rate=rate, seconds=seconds))))  # noqa: T201 -- a program of its own


if __name__ == "__main__":
    typer.run(main)
