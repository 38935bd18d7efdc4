"""
`multiprocessing.pool.ThreadPool`: each job and each callback runs in the context of whoever handed it over.

The pool's own threads live in no context, so that the second submitter's job is not run as the first one's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextvars import Context, copy_context
from functools import wraps
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar

from otelctx.boundaries.imported import OnImport
from otelctx.boundaries.patches import Patch

if TYPE_CHECKING:
    from multiprocessing.pool import ThreadPool

R = TypeVar("R")
T = TypeVar("T")

# `callback` and `error_callback`, where they are given by position, in all of the methods after the function.
_CALLBACKS = slice(2, 4)


def _init(original: Callable[..., None]) -> Callable[..., None]:
    @wraps(original)
    def init(self: ThreadPool, *args: Any, **kwargs: Any) -> None:
        Context().run(original, self, *args, **kwargs)

    return init


def _in_context_of_here(function: Callable[..., R], context: Context) -> Callable[..., R]:
    # Several workers call it at once, and only one at a time can be in a context.
    def call(*args: Any, **kwargs: Any) -> R:
        return context.copy().run(function, *args, **kwargs)

    return call


def _submitted(original: Callable[..., R]) -> Callable[..., R]:
    @wraps(original)
    def submitted(self: ThreadPool, func: Callable[..., Any], *args: Any, **kwargs: Any) -> R:
        context = copy_context()
        positional = list(args)
        positional[_CALLBACKS] = [callback and _in_context_of_here(callback, context) for callback in args[_CALLBACKS]]
        for name in ("callback", "error_callback"):
            if kwargs.get(name) is not None:
                kwargs[name] = _in_context_of_here(kwargs[name], context)
        return original(self, _in_context_of_here(func, context), *positional, **kwargs)

    return submitted


def _iterated(original: Callable[..., R]) -> Callable[..., R]:
    @wraps(original)
    def iterated(self: ThreadPool, func: Callable[..., Any], iterable: Iterable[Any], *args: Any, **kwargs: Any) -> R:
        context = copy_context()
        # The pool's task handler takes one item after the other, when there is room.
        items = _items(context.copy(), iterable)
        return original(self, _in_context_of_here(func, context), items, *args, **kwargs)

    return iterated


def _items(context: Context, iterable: Iterable[T]) -> Iterator[T]:
    iterator = context.run(iter, iterable)
    while True:
        try:
            item = context.run(next, iterator)
        except StopIteration:
            return
        yield item


def _patches(module: ModuleType) -> tuple[Patch, ...]:
    pool = module.ThreadPool
    submitting = ("apply_async", "map_async", "starmap_async", "map", "starmap")
    return (
        Patch(pool, "__init__", _init),
        *(Patch(pool, name, _submitted) for name in submitting),
        *(Patch(pool, name, _iterated) for name in ("imap", "imap_unordered")),
    )


_ON_IMPORT = OnImport({"multiprocessing.pool": _patches})

install, uninstall = _ON_IMPORT.install, _ON_IMPORT.uninstall
