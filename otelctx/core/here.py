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
from otelctx.native import compiled

NOWHERE: Final = Context()
_MOST_KINDS: Final = 64

# Public API only: the one key that `set_span_in_context` writes.
SPAN_KEY: Final = next(iter(set_span_in_context(INVALID_SPAN, Context())))


class _Elsewhere:
    """What a runtime context of somebody's own keeps, read and written like a variable."""

    def get(self, _default: Context) -> Context:
        return get_current()

    def set(self, context: Context) -> Token[Context]:
        return attach(context)

    def reset(self, token: Token[Context]) -> None:
        detach(token)


def _kept_in() -> ContextVar[Context] | _Elsewhere:
    token = attach(NOWHERE)
    detach(token)
    return token.var if isinstance(token, Token) else _Elsewhere()


CURRENT: Final = _kept_in()
# Bound once: to look a method up takes longer than to call it. `raw_context(NOWHERE)` is `here`, but for generators.
raw_context: Final = CURRENT.get
_make_current: Final = CURRENT.set
reset_context: Final = CURRENT.reset
# A Context lets nobody change it; one that is being made is not anybody's yet.
put: Final = dict[Any, Any].__setitem__


@compiled
def here() -> Context:
    """Return the Context that is current."""
    context = raw_context(NOWHERE)
    return context.seen_from_here() if type(context) is GeneratorContext else context


# Classes of spans: asking an abstract class is a call each time, and there are few.
_kinds: set[type] = {type(INVALID_SPAN)}


@compiled
def enter(context: Context, depth: int = 1) -> Token[Context]:
    """
    Make *context* current, and return the token to put back what was.

    That is `opentelemetry.context.attach`, asked only where generators have a part in it.

    Args:
        depth: how many calls away the code is for which that is done; 1 is the caller.
    """
    if (
        type(context) is GeneratorContext
        or type(raw_context(NOWHERE)) is GeneratorContext
        or generator_of(sys._getframe(depth)) is not None  # noqa: SLF001 - public, whatever its name
    ):
        return attach(context)
    return _make_current(context)


@compiled
def enter_own(context: Context) -> Token[Context]:
    """
    Make *context* current as `enter` does, for code that is no generator and is called by none.

    A frame that is asked whether it is one weighs 250 bytes for as long as it waits.
    """
    if type(context) is GeneratorContext or type(raw_context(NOWHERE)) is GeneratorContext:
        return attach(context)
    return _make_current(context)


@compiled
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


@compiled
def with_span(context: Context, span: Span) -> Context:
    """Return *context* with *span* as its span, copied once."""
    result = Context(context)
    put(result, SPAN_KEY, span)
    return result
