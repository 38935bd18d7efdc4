"""
The soak: requests through mixed boundaries, with failures and cancellations, every value checked.

The choices are drawn from a seed; what interleaves with what is up to the machine.
"""

from __future__ import annotations

import asyncio
import gc
import platform
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from resource import getpagesize
from typing import Any

import otelctx
from otelctx.core.state import current_request
from tests.soak.crossings import PROCESS_EVERY, WEIGHTS, Workers

CONCURRENT = 64
SAMPLES = 100


class FailureError(Exception):
    """What a job raises when it is its turn to fail."""


@dataclass
class Tally:
    """What was checked and found."""

    requests: int = 0
    crossings: int = 0
    failures: int = 0
    cancellations: int = 0
    checks: int = 0
    lost: int = 0
    leaked: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    rss: list[tuple[int, int]] = field(default_factory=list)

    def check(self, expected: object, actual: object) -> None:
        """Count one value: none where there should be one is lost, another's is leaked."""
        self.checks += 1
        if expected != actual:
            if actual is None:
                self.lost += 1
            else:
                self.leaked += 1

    def slope(self) -> float:
        """Return the growth of memory in KiB per 1,000 requests, by least squares over the second half."""
        half = self.rss[len(self.rss) // 2 :]
        if len(half) < 2:
            return 0.0
        mean_x = sum(x for x, _ in half) / len(half)
        mean_y = sum(y for _, y in half) / len(half)
        spread = sum((x - mean_x) ** 2 for x, _ in half)
        return sum((x - mean_x) * (y - mean_y) for x, y in half) / spread * 1000


def rss() -> int:
    """Return the resident memory of this process, in KiB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * getpagesize() // 1024


class Soak:
    """One run of so many requests."""

    def __init__(
        self,
        requests: int,
        seed: int,
        progress: Callable[[Tally], None] = lambda _: None,
        goes_on: Callable[[], bool] = lambda: True,
    ) -> None:
        """Prepare; nothing runs yet. It ends after so many requests, or when it no longer *goes_on*."""
        self._numbers = takewhile(lambda _: goes_on(), range(requests))
        self._every = max(1, requests // SAMPLES)
        self._seed = seed
        self._progress = progress
        self.tally = Tally()

    async def run(self) -> Tally:
        """Serve all requests, so many at once, and return what was found."""
        asyncio.get_running_loop().set_exception_handler(self._reported)
        with otelctx.request(user_id="opener"):
            workers = Workers()
        try:
            await asyncio.gather(*(self._serve(workers) for _ in range(CONCURRENT)))
            await self._probe_workers(workers)
        finally:
            workers.close()
        return self.tally

    def _reported(self, _: asyncio.AbstractEventLoop, about: dict[str, Any]) -> None:
        """Count what the loop complains of; that a cancelled request left a failure unread is to be expected."""
        if not isinstance(about.get("exception"), FailureError):
            self.tally.errors[str(about["message"])] += 1

    async def _serve(self, workers: Workers) -> None:
        for number in self._numbers:
            draw = random.Random(f"{self._seed}/{number}")
            try:
                if draw.random() < 0.03:
                    await self._cancelled_request(workers, number, draw)
                else:
                    await self._request(workers, number, draw)
            except Exception as error:  # noqa: BLE001 - counted, and none is expected
                self.tally.errors[type(error).__name__ + ": " + str(error)[:80]] += 1
            self.tally.check(None, self._leftover())
            self.tally.requests += 1
            if self.tally.requests % self._every == 0:
                gc.collect()
                self.tally.rss.append((self.tally.requests, rss()))
                self._progress(self.tally)

    def _leftover(self) -> object:
        return None if current_request() is None else f"left over: {otelctx.get('user_id')}"

    async def _cancelled_request(self, workers: Workers, number: int, draw: random.Random) -> None:
        serving = asyncio.ensure_future(self._request(workers, number, draw))
        for _ in range(draw.randrange(4)):
            await asyncio.sleep(0)
        serving.cancel()
        self.tally.cancellations += 1
        await asyncio.wait([serving])
        if not serving.cancelled() and (error := serving.exception()) is not None:
            raise error

    async def _request(self, workers: Workers, number: int, draw: random.Random) -> None:
        user = f"user-{number}"
        with otelctx.request(user_id=user):
            for crossing in draw.choices(list(WEIGHTS), list(WEIGHTS.values()), k=draw.randint(1, 3)):
                mark, fails = f"{user}/{draw.random()}", draw.random() < 0.05
                self.tally.crossings += 1
                try:
                    self.tally.check(user, await crossing(workers, self._job(user, mark, fails)))
                except FailureError:
                    self.tally.failures += 1
                self.tally.check(mark, otelctx.get("mark"))
                self.tally.check(None, otelctx.get("part"))
                self.tally.check(user, otelctx.get("user_id"))
            if number % PROCESS_EVERY == 0:
                self.tally.crossings += 1
                future = workers.processes.submit(otelctx.get, "user_id")
                self.tally.check(user, await asyncio.wrap_future(future))

    def _job(self, user: str, mark: str, fails: bool) -> Callable[[], object]:
        def job() -> object:
            found = otelctx.get("user_id")
            self.tally.check(user, found)
            otelctx.set(mark=mark)
            otelctx.bind(step="job").__enter__()  # never left
            if fails:
                raise FailureError
            return found

        return job

    async def _probe_workers(self, workers: Workers) -> None:
        """See that no worker is in a request when it works for nobody."""
        for _ in range(16):
            self.tally.check(None, workers.threads.submit(self._leftover).result())
            self.tally.check(None, workers.pool.apply(self._leftover))
        self.tally.check(None, workers.processes.submit(otelctx.get, "user_id").result())


def summary(tally: Tally, seed: int, began: float) -> dict[str, object]:
    """Return what was run and found, for JSON."""
    return {
        "python": platform.python_version(),
        "requests": tally.requests,
        "seed": seed,
        "seconds": round(time.monotonic() - began, 1),
        "crossings": tally.crossings,
        "failures": tally.failures,
        "cancellations": tally.cancellations,
        "values_checked": tally.checks,
        "lost": tally.lost,
        "leaked": tally.leaked,
        "errors": dict(tally.errors),
        "rss_kib_last": tally.rss[-1][1] if tally.rss else None,
        "rss_slope_kib_per_1000_requests": round(tally.slope(), 3),
    }
