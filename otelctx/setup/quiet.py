"""
The quiet: one line that helps, in place of the many that OpenTelemetry logs when no collector answers.

Only a refused connection is meant. Every other failure of an export, and every message that is not recognised, such as
one of another version, stays as it is.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from typing import Final
from urllib.parse import urlsplit

from otelctx.core.reports import INTERVAL_SECONDS
from otelctx.export.refusals import is_refusal, no_collector

_HTTP: Final = "opentelemetry.exporter.otlp.proto.http"
_LOGGERS: Final = (
    f"{_HTTP}.trace_exporter",
    f"{_HTTP}.metric_exporter",
    f"{_HTTP}._log_exporter",
    "opentelemetry.exporter.otlp.proto.grpc.exporter",  # of all three signals
    "opentelemetry.sdk._shared_internal",  # the queue of spans and of logs
)

# What follows on a failed attempt over HTTP, without its cause.
_GAVE_UP: Final = ("due to timeout, max retries or shutdown.", "Shutdown in progress, aborting retry.")
# What the queue says of a record that comes too late, as those about an export at the end of a program do.
_TOO_LATE: Final = "Shutdown called, ignoring %s."
# The two messages over gRPC, and where each has the endpoint among its arguments.
_GRPC: Final = {
    "Transient error %s encountered while exporting %s to %s, retrying in %.2fs. Error details: %s": 2,
    "Failed to export %s to %s, error code: %s, error details: %s": 1,
}
# Of gRPC's core, which reads these in lower case only and names no proxy in its errors.
_GRPC_PROXIES: Final = ("grpc_proxy", "https_proxy", "http_proxy")


class _Attempt(threading.local):
    """The last attempt of this thread; an export stays in one thread from its first attempt to its last."""

    refused_for: str | None = None  # the logger that said so


class OneLine(logging.Filter):
    """
    Makes the first record of a refused connection one that says what to do, and drops the next ones for a minute.

    Endpoints are counted apart. What follows from the same refusal is dropped too: that there are no more attempts, and
    that what was logged about them came too late to be exported.
    """

    def __init__(self) -> None:
        """Start with nothing refused."""
        super().__init__()
        self._lock = threading.RLock()
        self._said_at: dict[str, float] = {}
        self._refused_at = float("-inf")
        self._attempt = _Attempt()

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether *record* is logged; it may have become another one."""
        now = time.monotonic()
        endpoint = _refused_endpoint(record)
        if endpoint is not None:
            self._attempt.refused_for = record.name
            self._refused_at = now
            is_due = self._is_due(endpoint, now)
            if is_due:
                _rewrite(record, endpoint)
            return is_due
        if record.msg == _TOO_LATE:
            return now - self._refused_at >= INTERVAL_SECONDS
        if self._attempt.refused_for != record.name:
            return True
        # Either the last words about the refusal, or the next attempt failed for another reason.
        self._attempt.refused_for = None
        return not str(record.msg).endswith(_GAVE_UP)

    def _is_due(self, endpoint: str, now: float) -> bool:
        with self._lock:
            is_due = now - self._said_at.get(endpoint, float("-inf")) >= INTERVAL_SECONDS
            if is_due:
                self._said_at[endpoint] = now
            return is_due


_FILTER: Final = OneLine()


def install() -> None:
    """Put the filter on the loggers of the exporters and of the queue, whether these are imported yet or not."""
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        if _FILTER not in logger.filters:
            # Before OpenTelemetry's filter against repetitions: to that one, an attempt that failed for another reason
            # would be a repetition of a refused one which nobody saw.
            logger.filters.insert(0, _FILTER)


def uninstall() -> None:
    """Take the filter away again."""
    for name in _LOGGERS:
        logging.getLogger(name).removeFilter(_FILTER)


def _rewrite(record: logging.LogRecord, endpoint: str) -> None:
    record.msg = f"{no_collector(endpoint)} What could not be delivered is dropped."
    record.args = ()
    record.exc_info = record.exc_text = None


def _refused_endpoint(record: logging.LogRecord) -> str | None:
    """Return where the connection was refused that *record* is about; None when it is about anything else."""
    arguments: tuple[object, ...] = record.args if isinstance(record.args, tuple) else ()
    if arguments and record.msg in _GRPC:
        # gRPC has no exception for it: a status that means several things, and a text.
        is_unavailable = any(getattr(argument, "name", None) == "UNAVAILABLE" for argument in arguments)
        is_refused = is_unavailable and "Connection refused" in str(arguments[-1])
        by_proxy = any(os.environ.get(name) for name in _GRPC_PROXIES)
        return _without_user(str(arguments[_GRPC[record.msg]])) if is_refused and not by_proxy else None
    for argument in arguments:
        if isinstance(argument, Exception) and is_refusal(argument):
            url = urlsplit(getattr(getattr(argument, "request", None), "url", None) or "")
            return f"{url.scheme}://{_without_user(url.netloc)}" if url.netloc else "the configured endpoint"
    return None


def _without_user(address: str) -> str:
    # A user and a password may stand before the host.
    return address.rpartition("@")[2]
