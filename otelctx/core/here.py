"""
Here: the Context that code runs in, and the span in it, read without going through OpenTelemetry's layers of calls.

OpenTelemetry keeps its Context in one ContextVar; what `opentelemetry.context.get_current` returns is what is returned
here. A runtime context of somebody's own, named in ``OTEL_PYTHON_CONTEXT``, is asked each time.
"""

from __future__ import annotations

import sys
from contextvars import ContextVar, Token
from typing import Any, Final

from opentelemetry.context import Context, attach, detach, get_current
from opentelemetry.trace import INVALID_SPAN, Span, set_span_in_context

from otelctx.core.generator_context import GeneratorContext, generator_of

NOWHERE: Final = Context()
_MOST_KINDS: Final = 64

# Public API only: the one key that `set_span_in_context` writes.
SPAN_KEY: Final = next(iter(set_span_in_context(INVALID_SPAN, Context())))

_variable: ContextVar[Context] | None = None


def variable() -> ContextVar[Context] | None:
    """Return the variable that OpenTelemetry keeps its Context in; None where it has none."""
    global _variable  # noqa: PLW0603 - found once per process
    if _variable is None:
        token = attach(NOWHERE)
        detach(token)
        if isinstance(token, Token):
            _variable = token.var
    return _variable


def here() -> Context:
    """Return the Context that is current."""
    found = _variable or variable()
    if found is None:
        return get_current()
    context = found.get(NOWHERE)
    return context.seen_from_here() if type(context) is GeneratorContext else context


# Classes of spans: asking an abstract class is a call each time, and there are few.
_kinds: set[type] = {type(INVALID_SPAN)}


def enter(context: Context) -> Token[Context]:
    """
    Make *context* current, and return the token to put back what was.

    That is `opentelemetry.context.attach`, asked only where generators have a part in it.
    """
    found = _variable or variable()
    if (
        found is None
        or type(context) is GeneratorContext
        or type(found.get(NOWHERE)) is GeneratorContext
        or generator_of(sys._getframe(1)) is not None  # noqa: SLF001 - public, whatever its name
    ):
        return attach(context)
    return found.set(context)


def span_in(context: Context) -> Span:
    """Return the span of *context*, or the invalid one."""
    span: Any = context.get(SPAN_KEY)
    kind = type(span)
    if kind in _kinds:
        return span  # type: ignore[no-any-return]
    if not isinstance(span, Span):
        return INVALID_SPAN
    if len(_kinds) < _MOST_KINDS:
        _kinds.add(kind)
    return span


def with_span(context: Context, span: Span) -> Context:
    """Return *context* with *span* as its span, copied once."""
    result = Context(context)
    dict.__setitem__(result, SPAN_KEY, span)
    return result
