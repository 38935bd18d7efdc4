"""
One log record, from the call to the line that is written; a request with two fields is open where there is one.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any, Final

from benchmarks.cases.log_lines import FORMAT, RECIPE_FORMAT, log_line, logger
from benchmarks.cases.loops import repeated
from benchmarks.harness.case import Group, Work

PLAIN: Final = "plain logging"
RECIPE: Final = "hand recipe"
STRUCTLOG: Final = "structlog.contextvars"

GROUP: Final = Group("log")
# All write the same short line, so that what differs is the stamping.
bare = GROUP.case("record, stamped without a span", targets={PLAIN: 1.08})
spanned = GROUP.case("record, stamped in a span", targets={PLAIN: 1.08})
shown = GROUP.case("line with ids and two fields, in a span")
as_json = GROUP.case("JSON line with two fields, in a span", quick=False)

_open: list[Any] = []


def entered(block: Any) -> None:
    """Enter *block* for as long as the process lives."""
    _open.append(block)
    block.__enter__()


def in_a_span() -> None:
    """Have a span that records be current."""
    from opentelemetry.trace import get_tracer

    from benchmarks.cases.sdk import trace_with

    trace_with()
    entered(get_tracer("shop").start_as_current_span("GET /orders"))


def in_a_request() -> None:
    """Have otelctx, and a request with two fields."""
    import otelctx
    from otelctx.setup.install import install

    install()
    entered(otelctx.request(request_id="8b6c1d0a-4a3e-4f0b-9d1e-2f7c5a9e6b34", user_id="alice"))


def in_baggage(**options: Any) -> None:
    """Have two members of baggage, and `LoggingInstrumentor`."""
    from opentelemetry.baggage import set_baggage
    from opentelemetry.context import attach
    from opentelemetry.instrumentation.logging import LoggingInstrumentor

    attach(set_baggage("user_id", "alice", set_baggage("request_id", "8b6c1d0a-4a3e-4f0b-9d1e-2f7c5a9e6b34")))
    LoggingInstrumentor().instrument(inject_trace_context=True, enable_log_auto_instrumentation=False, **options)


@bare.contender(PLAIN)
@spanned.contender(PLAIN)
def _plain() -> Work:
    return repeated(log_line())


@bare.contender("otelctx")
def _bare() -> Work:
    in_a_request()
    return repeated(log_line())


@spanned.contender("LoggingInstrumentor")
def _instrumented() -> Work:
    in_baggage()
    in_a_span()
    return repeated(log_line())


@spanned.contender("otelctx")
def _spanned() -> Work:
    in_a_request()
    in_a_span()
    return repeated(log_line())


@shown.contender(RECIPE)
def _recipe() -> Work:
    from benchmarks.cases.recipes import log_hook

    in_baggage(log_hook=log_hook)
    in_a_span()
    return repeated(log_line(RECIPE_FORMAT))


@shown.contender("otelctx")
def _shown() -> Work:
    in_a_request()
    in_a_span()
    return repeated(log_line(FORMAT))


class _Json(logging.Formatter):
    """What people write in an afternoon."""

    def format(self, record: logging.LogRecord) -> str:
        ids = {"trace_id": record.otelTraceID, "span_id": record.otelSpanID}  # type: ignore[attr-defined]
        fields = {"request_id": record.request_id, "user_id": record.user_id}  # type: ignore[attr-defined]
        message = {"timestamp": self.formatTime(record), "level": record.levelname, "logger": record.name}
        return json.dumps({**message, "message": record.getMessage(), **ids, **fields})


@as_json.contender(RECIPE)
def _json_recipe() -> Work:
    from benchmarks.cases.recipes import log_hook

    in_baggage(log_hook=log_hook)
    in_a_span()
    return repeated(log_line(_Json()))


@as_json.contender(STRUCTLOG)
def _structlog() -> Work:
    return repeated(structured())


@as_json.contender("otelctx")
def _json() -> Work:
    from otelctx.signals.formatters import JsonFormatter

    in_a_request()
    in_a_span()
    return repeated(log_line(JsonFormatter()))


def structured() -> Callable[[], None]:
    """Return what writes one line by way of structlog, with two fields and the ids of a span."""
    import structlog
    from opentelemetry.trace import format_span_id, format_trace_id, get_current_span

    def ids(_: Any, __: str, event: dict[str, Any]) -> dict[str, Any]:
        context = get_current_span().get_span_context()
        event["trace_id"], event["span_id"] = format_trace_id(context.trace_id), format_span_id(context.span_id)
        return event

    in_a_span()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            ids,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=lambda *_: logger("%(message)s"),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(request_id="8b6c1d0a-4a3e-4f0b-9d1e-2f7c5a9e6b34", user_id="alice")
    shop = structlog.get_logger("shop")
    return lambda: shop.info("order placed", order=4711)
