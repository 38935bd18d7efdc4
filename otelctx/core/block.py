"""
Blocks: what `bind` and `request` have in common, as `with`, as `async with` and as a decorator.

A block puts back what was there, by token, however it ends; the absence of something too.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from contextvars import Token, copy_context
from functools import wraps
from types import TracebackType
from typing import Any, ParamSpec, TypeVar, cast

from opentelemetry.context import Context

from otelctx.core import generator_context
from otelctx.core.here import NOWHERE, enter, raw_context, reset_context
from otelctx.core.steps import driven, wrapper_of
from otelctx.native import compiled

P = ParamSpec("P")
R = TypeVar("R")


@compiled
def restore(token: Token[Context]) -> None:
    """
    Put back the Context that was current before *token*'s.

    A generator's block may end in another `contextvars.Context` than it began in, when somebody else closes it. There
    is nothing to put back there, and nothing was changed.
    """
    if type(raw_context(NOWHERE)) is generator_context.GeneratorContext and generator_context.end(token):
        return
    try:
        reset_context(token)
    except ValueError:
        generator_context.end(token)


@compiled
class Entering(ABC):
    """What is entered by making a Context current, and left by putting back the one from before."""

    __slots__ = ("_token",)

    def __init__(self) -> None:
        """Make the block; nothing happens until it is entered."""
        self._token: Token[Context] | None = None

    @abstractmethod
    def _context(self) -> Context:
        """Return the Context for the block that is entered here and now."""

    def __enter__(self) -> None:
        """Make the block's Context current."""
        if self._token is not None:
            raise RuntimeError(f"This {type(self).__name__} block is entered already; make a new one for each use")
        self._token = enter(self._context(), depth=2)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Put the Context from before the block back."""
        token, self._token = self._token, None
        if token is not None:
            restore(token)


class Block(Entering):
    """A block that runs under a Context of its own."""

    __slots__ = ()

    @abstractmethod
    def _again(self) -> Block:
        """Return a new block like this one."""

    async def __aenter__(self) -> None:
        """Make the block's Context current."""
        self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Put the Context from before the block back."""
        self.__exit__(kind, error, traceback)

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """Return *function*, of whatever kind, so that each of its calls runs in a block like this one."""
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            return wrapper_of(cast("Callable[P, R]", function), self._private_context)

        if inspect.iscoroutinefunction(function):

            @wraps(function)
            async def asynchronous(*args: P.args, **kwargs: P.kwargs) -> Any:
                with self._again():
                    return await cast("Awaitable[Any]", function(*args, **kwargs))

            return cast("Callable[P, R]", asynchronous)

        @wraps(function)
        def plain(*args: P.args, **kwargs: P.kwargs) -> R:
            with self._again():
                result = function(*args, **kwargs)
            # It may be asynchronous for all that, as a callable object or somebody's wrapper is.
            return driven(self._private_context, result)

        return plain

    def _private_context(self) -> Any:
        context = copy_context()
        context.run(self._again().__enter__)
        return context
