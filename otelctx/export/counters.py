"""
Counters of delivery, as metrics ``otelctx.export.*``.

They count items (spans, log records, data points) of this process, by signal and, where dropped, by reason. Both come
from closed sets, so the number of time series is bounded.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from threading import RLock
from typing import Final, Literal

from opentelemetry import metrics
from opentelemetry.metrics import CallbackOptions, Observation

from otelctx.export.protocol import SignalName

Name = Literal["spooled", "delivered", "dropped"]
Reason = Literal[
    "",
    "encoding",  # cannot be encoded
    "queue_full",  # the memory queue was full, and the disk stalled
    "memory_full",  # there is no disk, and the memory in its place is full
    "spool_full",  # the oldest made room for the newest
    "too_large",  # one batch is larger than the whole spool may be
    "expired",  # it waited for longer than it may
    "failed",  # what an exception has ended that nobody expects
    "refused",  # the collector refused the request for good
    "rejected",  # the collector took the request, but not this item
    "ended",  # it was in memory only when the process ended
]

_DESCRIPTIONS: Final[dict[Name, str]] = {
    "spooled": "Items written to the spool on disk.",
    "delivered": "Items that the collector took.",
    "dropped": "Items that will never be delivered, by reason.",
}


class Counters:
    """Counts from any thread; a forked process starts at zero."""

    def __init__(self) -> None:
        """Start at zero; nothing is registered with OpenTelemetry yet."""
        self.reset()
        self._is_published = False

    def reset(self) -> None:
        """Start at zero, with a lock that nobody holds."""
        # Reentrant: a finalizer may log, and so count, while its own thread does.
        self._lock = RLock()
        self._counts: Counter[tuple[Name, SignalName, Reason]] = Counter()

    def add(self, name: Name, signal: SignalName, items: int, reason: Reason = "") -> None:
        """Count *items* more."""
        if items:
            with self._lock:
                self._counts[name, signal, reason] += items

    def value(self, name: Name, signal: SignalName, reason: Reason = "") -> int:
        """Return what was counted so far."""
        with self._lock:
            return self._counts[name, signal, reason]

    def total(self, name: Name, signal: SignalName) -> int:
        """Return what was counted so far, for any reason."""
        with self._lock:
            return sum(count for key, count in self._counts.items() if key[:2] == (name, signal))

    def publish(self) -> None:
        """Make observable counters of them, of the global meter provider; once is enough."""
        if self._is_published:
            return
        self._is_published = True
        meter = metrics.get_meter("otelctx.export")
        for name, description in _DESCRIPTIONS.items():
            meter.create_observable_counter(
                f"otelctx.export.{name}", callbacks=[self._observer(name)], unit="{item}", description=description
            )

    def _observer(self, name: Name) -> Callable[[CallbackOptions], Iterable[Observation]]:
        def observe(_: CallbackOptions) -> Iterable[Observation]:
            with self._lock:
                counts = [(key, value) for key, value in self._counts.items() if key[0] == name]
            for (_name, signal, reason), value in counts:
                yield Observation(value, {"signal": signal, "reason": reason} if reason else {"signal": signal})

        return observe


COUNTERS: Final = Counters()
