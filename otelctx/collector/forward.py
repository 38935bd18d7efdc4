"""
Forwarding: a copy of everything that was committed, for a real OTLP/HTTP endpoint.

It never slows or fails the intake: what does not fit its bounded queue is dropped and counted, and what the endpoint
cannot take now is tried again. Source: OTLP specification, "OTLP/HTTP Response", "Retryable Response Codes".
"""

from __future__ import annotations

import asyncio
import gzip
import random
from collections import deque
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx

from otelctx.collector.config import is_loopback
from otelctx.errors import CollectorError

if TYPE_CHECKING:
    from otelctx.collector.config import CollectorConfig
    from otelctx.collector.counters import Counters

RETRYABLE = frozenset({429, 502, 503, 504})
FIRST_PAUSE_SECONDS = 0.25
LONGEST_PAUSE_SECONDS = 30.0
REQUEST_SECONDS = 10.0


class Forwarder:
    """
    A bounded queue and one task that empties it, in order.

    Used on the event loop only.
    """

    def __init__(self, config: CollectorConfig, url: str, counters: Counters) -> None:
        """Send to *url*, the base address of the endpoint."""
        self._url = url.rstrip("/")
        self._limit = config.max_forward_bytes
        self._counters = counters
        self._waiting: deque[tuple[str, bytes]] = deque()
        self._bytes = 0
        self._arrived = asyncio.Event()
        self._closing = False
        host = urlsplit(url).hostname or ""
        # A proxy from the environment is for the outside world only.
        try:
            httpx.URL(url)
        except httpx.InvalidURL as error:
            msg = f"Cannot forward to {url!r} ({error}); give an OTLP/HTTP base address such as http://127.0.0.1:4318"
            raise CollectorError(msg) from error
        self._client = httpx.AsyncClient(
            headers=dict(config.forward_headers), timeout=REQUEST_SECONDS, trust_env=not is_loopback(host)
        )
        self._task = asyncio.create_task(self._run(), name="otelctx-collector-forward")

    def offer(self, signal: str, payload: bytes) -> None:
        """Queue one export request in protobuf, or count it as dropped."""
        if self._bytes + len(payload) > self._limit:
            self._counters.add("forward", "dropped_queue_full")
            self._counters.warn(
                "forward_full", "The forwarding queue is full, new data is dropped; is the endpoint up?"
            )
            return
        self._waiting.append((signal, payload))
        self._bytes += len(payload)
        self._arrived.set()

    async def close(self, seconds: float) -> None:
        """Send what waits, for at most *seconds*, and count the rest as dropped."""
        self._closing = True
        self._arrived.set()
        done, _ = await asyncio.wait({self._task}, timeout=seconds)
        if not done:
            self._task.cancel()
            await asyncio.wait({self._task})
        if self._waiting:
            self._counters.add("forward", "dropped_at_shutdown", len(self._waiting))
            self._counters.warn("forward_shutdown", f"Stopped with {len(self._waiting)} requests not forwarded")
        await self._client.aclose()

    async def _run(self) -> None:
        while True:
            while self._waiting:
                signal, payload = self._waiting[0]
                await self._deliver(signal, payload)
                self._waiting.popleft()
                self._bytes -= len(payload)
            if self._closing:
                return
            self._arrived.clear()
            await self._arrived.wait()

    async def _deliver(self, signal: str, payload: bytes) -> None:
        """Send until the endpoint took it or refused it for good."""
        body = await asyncio.to_thread(gzip.compress, payload, 1)
        headers = {"Content-Type": "application/x-protobuf", "Content-Encoding": "gzip"}
        pause = FIRST_PAUSE_SECONDS
        while True:
            wait = 0.0
            try:
                response = await self._client.post(f"{self._url}/v1/{signal}", content=body, headers=headers)
            except httpx.HTTPError as error:
                trouble = type(error).__name__
            else:
                if response.is_success:
                    self._counters.add("forward", "sent")
                    return
                trouble = f"status {response.status_code}"
                if response.status_code not in RETRYABLE:
                    self._counters.add("forward", "dropped_refused")
                    self._counters.warn("forward_refused", f"The forwarding endpoint refused a request ({trouble})")
                    return
                wait = retry_after(response)
            self._counters.add("forward", "retries")
            self._counters.warn("forward_failed", f"Forwarding failed ({trouble}); trying again")
            await asyncio.sleep(max(wait, pause * random.uniform(0.5, 1)))  # noqa: S311 -- jitter, not a secret
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)


def retry_after(response: httpx.Response) -> float:
    """Read Retry-After in seconds (RFC 9110, 10.2.3), bounded; a date counts as absent."""
    header = response.headers.get("retry-after", "")
    return min(float(header), LONGEST_PAUSE_SECONDS) if header.isascii() and header.isdigit() else 0.0
