"""
The way in: from a body's bytes to a commit, the same for HTTP and gRPC.

Bodies are decoded one at a time, so the memory that decoding takes beyond the bytes in flight is that of one body.
"""

from __future__ import annotations

import asyncio
import functools
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from otelctx.collector.budget import Budget
from otelctx.collector.refusal import BUSY, STORE_FAILED, RefusedError

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from otelctx.collector.config import CollectorConfig
    from otelctx.collector.counters import Counters
    from otelctx.collector.forward import Forwarder
    from otelctx.collector.signals import Signal
    from otelctx.collector.store import Store

REJECTED = "Spans without a valid trace id (16 bytes) and span id (8 bytes) were left out"
PROBE_SECONDS = 5.0


class Intake:
    """Takes bodies for one store, and hands what was committed to the forwarder."""

    def __init__(self, config: CollectorConfig, store: Store, counters: Counters, forwarder: Forwarder | None) -> None:
        """Feed *store* within the bounds of *config*."""
        self.budget = Budget(config.max_inflight_bytes)
        self._store = store
        self._counters = counters
        self._forwarder = forwarder
        self._decoding = ThreadPoolExecutor(1, "otelctx-collector-decode")

    async def take(self, signal: Signal[Any], body: bytes, *, is_json: bool) -> Message:
        """
        Decode and store *body* (decompressed) and give the answer for its sender once it is committed.

        Raises:
            RefusedError: when it is not taken; nothing of it is stored then.
        """
        decode = functools.partial(signal.decode, is_json=is_json, keep_payload=self._forwarder is not None)
        batch = await asyncio.get_running_loop().run_in_executor(self._decoding, decode, body)
        if batch.records:
            stored: asyncio.Future[bool] = asyncio.wrap_future(self._store.submit(batch))
            is_new = await stored
            self._counters.add("accepted" if is_new else "duplicates", signal.name, batch.records)
            if is_new and self._forwarder is not None:
                self._forwarder.offer(signal.name, batch.payload)
        if batch.rejected:
            self._counters.add("rejected", signal.name, batch.rejected)
        return signal.answer(batch.rejected, REJECTED)

    def refuse(self, error: RefusedError) -> None:
        """Count a refusal, and log its reason unless that was just done."""
        self._counters.add("refused", error.kind.name)
        self._counters.warn(error.kind.name, f"Refused a request: {error.reason}")

    async def can_store(self) -> bool:
        """Tell whether a commit succeeds now."""
        try:
            proof: asyncio.Future[bool] = asyncio.wrap_future(self._store.probe())
            return await asyncio.wait_for(proof, PROBE_SECONDS)
        except RefusedError as error:
            if error.kind not in {BUSY, STORE_FAILED}:
                raise
        except (asyncio.TimeoutError, TimeoutError):
            self._counters.add("store", "probe_timeouts")
        return False

    def close(self) -> None:
        """End the decoding thread after its last body."""
        self._decoding.shutdown()
