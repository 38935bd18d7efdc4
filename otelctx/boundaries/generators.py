"""
Generators: what one attaches around a `yield` is seen in its own steps, and never by its consumer.

That is so for `bind`, `request`, spans and everything else that attaches to OpenTelemetry's Context in a `with` of the
generator itself, also in one that is abandoned, thrown into, or closed by the garbage collector or another task. The
consumer needs no change, and nothing is logged.

What Python cannot give, since it neither gives a generator a context nor says when one yields:
* A task, thread or callback that a *consumer* starts between two steps copies what is there, and has the generator's.
* A generator whose steps run in different contexts (each in a task or a pool's job of its own) sees its own values in
  the step that attached them only.
* Other ContextVars are Python's business.
All three hold for a generator function that is decorated with ``@otelctx.bind(…)``, or passed through
`otelctx.wrap`: those have a context of their own for all of their steps.

A generator that `contextlib` or a test framework steps is not one of these: it is a block around somebody, who is to
see its values.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextvars import Token
from functools import wraps
from typing import Any, Final

from opentelemetry.context import Context
from opentelemetry.context.contextvars_context import ContextVarsRuntimeContext

from otelctx.boundaries.patches import Patch, Patches
from otelctx.core.generator_context import GeneratorContext, end, generator_of


def _attach(original: Callable[[Any, Context], Token[Context]]) -> Callable[[Any, Context], Token[Context]]:
    @wraps(original)
    def attach(self: ContextVarsRuntimeContext, context: Context) -> Token[Context]:
        there = self._current_context.get()
        below = there if type(there) is GeneratorContext and there.is_of_here() else None
        # From whoever calls `opentelemetry.context.attach`.
        owner = generator_of(sys._getframe(2))  # noqa: SLF001 - public, whatever its name
        if below is None and owner is None:
            # One that is passed on explicitly is what was asked for.
            return original(self, Context(context) if type(context) is GeneratorContext else context)
        before = there
        if below is not None:
            before, owner = below.seen_from_here(), owner or below.running()
            below = next(below.chain(), None)
        own = GeneratorContext(context)
        token = original(self, own)
        own.begin(owner, before, below, token)
        return token

    return attach


def _get_current(original: Callable[[Any], Context]) -> Callable[[Any], Context]:
    @wraps(original)
    def get_current(self: ContextVarsRuntimeContext) -> Context:
        # What the original does, without the time that calling it takes: it is called several times for each log line.
        context = self._current_context.get()
        return context.seen_from_here() if type(context) is GeneratorContext else context

    return get_current


def _detach(original: Callable[[Any, Token[Context]], None]) -> Callable[[Any, Token[Context]], None]:
    @wraps(original)
    def detach(self: ContextVarsRuntimeContext, token: Token[Context]) -> None:
        if type(self._current_context.get()) is GeneratorContext and end(token):
            return
        try:
            original(self, token)
        except ValueError:
            # It is of another context, where somebody else has closed what attached there. Nothing was changed here.
            end(token)

    return detach


# Its variable is private. Where that is gone, generators are as Python has them.
_IS_KNOWN: Final = hasattr(ContextVarsRuntimeContext(), "_current_context")

_ALL: Final = (
    Patch(ContextVarsRuntimeContext, "attach", _attach),
    Patch(ContextVarsRuntimeContext, "get_current", _get_current),
    Patch(ContextVarsRuntimeContext, "detach", _detach),
)
_PATCHES = Patches(*(_ALL if _IS_KNOWN else ()))

install, uninstall = _PATCHES.install, _PATCHES.uninstall
