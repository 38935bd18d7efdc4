"""
Calls in a `contextvars.Context`, whatever kind of function is called.

A coroutine, a generator and an async generator run their every step inside that context, so they see their own values
at each step, and whoever drives them never sees any of it.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator
from contextvars import Context
from functools import partial, wraps
from types import FunctionType, MethodType, coroutine
from typing import Any, ParamSpec, TypeVar, cast

P = ParamSpec("P")
R = TypeVar("R")


@coroutine
def drive(context: Context, steps: Any) -> Generator[Any, Any, Any]:
    """
    Run each step of *steps* in *context*, and hand on what it yields and is sent.

    Args:
        steps: a generator, or a coroutine or other iterator of an awaitable; what comes back is of both kinds.
    """
    step, argument = steps.send, None
    while True:
        try:
            yielded = context.run(step, argument)
        except StopIteration as stop:
            return stop.value
        try:
            step, argument = steps.send, (yield yielded)
        except GeneratorExit:
            context.run(steps.close)
            raise
        except BaseException as error:  # noqa: BLE001 - it belongs to the step, which may handle it
            step, argument = steps.throw, error


def _driven_async_generator(
    context: Callable[[], Context], function: Callable[P, AsyncGenerator[Any, Any]]
) -> Callable[P, AsyncGenerator[Any, Any]]:
    @wraps(function)
    async def steps(*args: P.args, **kwargs: P.kwargs) -> AsyncGenerator[Any, Any]:
        inside = context()
        generator = function(*args, **kwargs)
        step = _first_step(generator)
        try:
            while True:
                try:
                    yielded = await drive(inside, _iterator(step))
                except StopAsyncIteration:
                    return
                try:
                    step = generator.asend((yield yielded))
                except GeneratorExit:
                    raise
                except BaseException as error:  # noqa: BLE001 - it belongs to the step, which may handle it
                    step = generator.athrow(error)
        finally:
            await drive(inside, _iterator(generator.aclose()))

    return steps


def _first_step(generator: AsyncGenerator[Any, Any]) -> Awaitable[Any]:
    # The event loop closes each generator that it knows of when it shuts down, in a context of its own. This one is
    # closed by the one around it, in the right context; so the loop is not told of it.
    hooks = sys.get_asyncgen_hooks()
    sys.set_asyncgen_hooks(None, None)
    try:
        return generator.asend(None)
    finally:
        sys.set_asyncgen_hooks(*hooks)


def _iterator(awaitable: Awaitable[Any]) -> Any:
    return awaitable if isinstance(awaitable, Coroutine) else awaitable.__await__()


def call(context: Context, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
    """Call *function* in *context*; what it returns to be driven on is driven there too."""
    return driven(lambda: context, context.run(function, *args, **kwargs))


def driven(context: Callable[[], Context], result: R) -> R:
    """Return *result*, so that its steps run in what *context* makes if it is something with steps."""
    if inspect.iscoroutine(result):
        return cast("R", _awaited(context(), result))
    if inspect.isgenerator(result):
        return cast("R", drive(context(), result))
    if inspect.isasyncgen(result):
        return cast("R", _driven_async_generator(context, lambda: result)())
    return result


async def _awaited(context: Context, coroutine_: Coroutine[Any, Any, R]) -> R:
    return cast("R", await drive(context, coroutine_))


def wrapper_of(function: Callable[P, R], context: Callable[[], Context]) -> Callable[P, R]:
    """Return *function* as one of its own kind and signature that runs in what *context* makes for each call."""

    @wraps(function)
    def plain(*args: P.args, **kwargs: P.kwargs) -> R:
        return call(context(), function, *args, **kwargs)

    @wraps(function)
    async def asynchronous(*args: P.args, **kwargs: P.kwargs) -> Any:
        return await cast("Awaitable[Any]", call(context(), function, *args, **kwargs))

    @wraps(function)
    def generator(*args: P.args, **kwargs: P.kwargs) -> Any:
        return (yield from cast("Generator[Any, Any, Any]", call(context(), function, *args, **kwargs)))

    kind = _maker_of_steps(function)
    wrapper: Callable[P, Any] = plain
    if inspect.iscoroutinefunction(kind):
        wrapper = asynchronous
    elif inspect.isgeneratorfunction(kind):
        wrapper = generator
    elif inspect.isasyncgenfunction(kind):
        wrapper = _driven_async_generator(context, cast("Callable[P, AsyncGenerator[Any, Any]]", function))
    if not hasattr(function, "__name__"):
        wrapper.__name__ = wrapper.__qualname__ = _name(function)
    return wrapper


def _maker_of_steps(function: Any) -> Any:
    # `inspect` looks into methods and partials itself, and never into an object that is called like a function.
    if isinstance(function, (FunctionType, MethodType, type, partial)) or inspect.iscoroutinefunction(function):
        return function
    return function.__call__


def _name(function: Any) -> str:
    kind = getattr(function, "func", type(function))  # a partial's function
    return str(getattr(kind, "__name__", type(function).__name__))
