"""
`multiprocessing.Pool`: each task runs in the request that handed it over, and its callbacks do so in this process.

The pool itself, its workers and its threads live in no request, whoever made it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextvars import Context, copy_context
from functools import partial, wraps
from types import ModuleType
from typing import TYPE_CHECKING, Any

from otelctx.boundaries.imported import OnImport
from otelctx.boundaries.jobs import Job, JobOf
from otelctx.boundaries.patches import Patch

if TYPE_CHECKING:
    from multiprocessing.pool import Pool

Method = Callable[..., Any]

_CALLBACKS = ("callback", "error_callback")


def _make(original: Callable[..., None]) -> Callable[..., None]:
    @wraps(original)
    def __init__(self: Pool, *args: Any, **kwargs: Any) -> None:  # noqa: N807 - its name
        Context().run(original, self, *args, **kwargs)

    return __init__


def _eager(position: int) -> Callable[[Method], Method]:
    """Return what patches a method that takes its callbacks from argument *position* on."""

    def make(original: Method) -> Method:
        @wraps(original)
        def method(self: Pool, func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
            if _has_threads(self):
                return original(self, func, *args, **kwargs)
            given = list(args)
            given[position:] = [_here(callback) for callback in args[position:]]
            kwargs.update({name: _here(kwargs[name]) for name in _CALLBACKS if name in kwargs})
            return original(self, JobOf(Job(), func), *given, **kwargs)

        return method

    return make


def _lazy(original: Method) -> Method:
    @wraps(original)
    def method(self: Pool, func: Callable[..., Any], iterable: Iterable[Any], *args: Any, **kwargs: Any) -> Any:
        if _has_threads(self):
            return original(self, func, iterable, *args, **kwargs)
        # A thread of the pool asks for the items, and what makes them belongs to the request as well.
        return original(self, JobOf(Job(), func), _items(copy_context(), iterable), *args, **kwargs)

    return method


def _has_threads(pool: Pool) -> bool:
    # The workers of a thread pool are in this process, where more than a job can cross.
    from multiprocessing.pool import ThreadPool  # noqa: PLC0415 - here it is imported

    return isinstance(pool, ThreadPool)


def _here(callback: Any) -> Any:
    return partial(copy_context().run, callback) if callable(callback) else callback


def _items(context: Context, iterable: Iterable[Any]) -> Iterator[Any]:
    iterator = context.run(iter, iterable)
    while True:
        try:
            item = context.run(next, iterator)
        except StopIteration:
            return
        yield item


def _patches(module: ModuleType) -> tuple[Patch, ...]:
    # `apply` calls `apply_async`; positions are counted without `self` and `func`.
    return (
        Patch(module.Pool, "__init__", _make),
        *(
            Patch(module.Pool, name, _eager(2))
            for name in ("apply_async", "map", "map_async", "starmap", "starmap_async")
        ),
        *(Patch(module.Pool, name, _lazy) for name in ("imap", "imap_unordered")),
    )


_ON_IMPORT = OnImport({"multiprocessing.pool": _patches})

install, uninstall = _ON_IMPORT.install, _ON_IMPORT.uninstall
