"""
The Context of a block inside a generator: it is current in the generator's steps, and not in between them.

Python gives a generator no context of its own: what it attaches before a `yield` is what its consumer has after it.
Nor does Python say when a generator yields. So such a Context knows whose it is, and whoever reads what is current is
shown the innermost one that is theirs: a running generator its own, everybody else the consumer's.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from contextvars import ContextVar, Token
from types import FrameType
from typing import Final
from weakref import WeakValueDictionary

from opentelemetry.context import Context

# A block that is entered by one of these is entered by whoever called it.
_HELPERS: Final = frozenset(
    {
        *("contextlib", "opentelemetry.context", "opentelemetry.trace", "opentelemetry.sdk.trace"),
        *("opentelemetry.util._decorator", "otelctx.core.here", "otelctx.core.block", "otelctx.core.verbs"),
        "otelctx.signals.tracing",
    }
)
# A generator that is stepped by one of these is the two halves of a block around somebody, who is to see its values.
_BLOCKS_FOR: Final = frozenset({"contextlib", "_pytest", "pluggy", "pytest_asyncio", "anyio"})

_GENERATOR: Final = inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR

# Its tokens tell one `contextvars.Context` from another; its value says nothing.
_here: ContextVar[None] = ContextVar("otelctx_here", default=None)


class GeneratorContext(Context):
    """
    A Context that was attached by a generator, or by its consumer on top of one.

    Attributes:
        owner: the frame of the generator; None for the consumer's, and when the block has ended.
        below: the one that it was attached on top of.
        before: what was current when its block began.
        token: what ends it; None when it has ended.
    """

    owner: FrameType | None
    below: GeneratorContext | None
    before: Context
    token: Token[Context] | None
    _proof: Token[None]

    def begin(
        self, owner: FrameType | None, before: Context, below: GeneratorContext | None, token: Token[Context]
    ) -> None:
        """Note who has attached this Context, on top of *below*, and where *before* was seen."""
        self.owner, self.before, self.below, self.token = owner, before, below, token
        self._proof = _here.set(None)
        _by_token[id(token)] = self

    def chain(self) -> Iterator[GeneratorContext]:
        """Return those that have not ended, from the innermost outwards."""
        link: GeneratorContext | None = self
        while link is not None:
            if link.token is not None:
                yield link
            link = link.below

    def seen_from_here(self) -> Context:
        """Return the innermost Context that is this reader's."""
        if not self.is_of_here():
            return self  # whoever copied it, as tasks, threads and callbacks do, has it for good
        owner = self.running()
        link = self
        while link.token is None or link.owner is not owner:
            if link.below is None:
                return link.before
            link = link.below
        return link

    def running(self) -> FrameType | None:
        """Return the innermost generator that is running here, of those that have attached something."""
        # A frame with nobody below it is suspended. What has ended may still say who closed it.
        owners = [link.owner for link in self.chain() if link.owner is not None and link.owner.f_back is not None]
        frame: FrameType | None = sys._getframe(1) if owners else None  # noqa: SLF001 - public, whatever its name
        while frame is not None and frame not in owners:
            frame = frame.f_back
        return frame

    def is_of_here(self) -> bool:
        """Return whether it was attached in this very `contextvars.Context`, and not in one that this is a copy of."""
        try:
            _here.reset(self._proof)
        except (ValueError, RuntimeError):  # of another one, or just replaced there by another thread
            return False
        self._proof = _here.set(None)
        return True


_by_token: WeakValueDictionary[int, GeneratorContext] = WeakValueDictionary()


def end(token: Token[Context]) -> bool:
    """Return whether *token* is of such a Context, and there is nothing to reset: another one is on top by now."""
    context = _by_token.get(id(token))
    if context is None or context.token is not token:
        return False
    context.owner = context.token = None
    return token.var.get() is not context


def is_plain(frame: FrameType) -> bool:
    """Tell whether *frame* enters its blocks for itself, whenever it runs, and is no generator's."""
    return not frame.f_code.co_flags & _GENERATOR and frame.f_globals.get("__name__") not in _HELPERS


def generator_of(frame: FrameType | None) -> FrameType | None:
    """Return *frame* of the generator that enters a block there, or None where it is no generator."""
    while frame is not None:
        flags = frame.f_code.co_flags
        if frame.f_globals.get("__name__") in _HELPERS:
            frame = frame.f_back
            continue
        if not flags & _GENERATOR or flags & inspect.CO_ITERABLE_COROUTINE:
            return None
        stepped_by = frame.f_back
        name = "" if stepped_by is None else str(stepped_by.f_globals.get("__name__"))
        if name.partition(".")[0] not in _BLOCKS_FOR:
            return frame
        if name != "contextlib":
            return None
        frame = stepped_by
    return None
