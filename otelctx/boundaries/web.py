"""
Generators that Starlette and FastAPI step in worker threads: streaming bodies and `yield` dependencies.

Each step is a job of its own there, in a copy of the task's context, so that a generator loses in the second what it
has bound or started in the first. Here all steps of one run in one context, the copy that its first step has got.
A dependency's second half also sees which other context variables the endpoint has set since, as it does without this.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from contextvars import Context, copy_context
from functools import wraps
from types import ModuleType, TracebackType
from typing import Any, Generic, TypeVar

from opentelemetry.context import Context as TelemetryContext

from otelctx.boundaries.patches import Patch

T = TypeVar("T")


class _Steps(Generic[T]):
    """An iterator all of whose steps run in the context of the first."""

    __slots__ = ("_context", "_iterator")

    def __init__(self, iterable: Iterable[T]) -> None:
        self._iterator = iter(iterable)
        self._context: Context | None = None

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        if self._context is None:
            self._context = copy_context()
        return self._context.run(next, self._iterator)


class _Halves(Generic[T]):
    """A context manager that is left in the context that it was entered in."""

    __slots__ = ("_before", "_context", "_manager")

    def __init__(self, manager: AbstractContextManager[T]) -> None:
        self._manager = manager
        self._context = self._before = Context()

    def __enter__(self) -> T:
        self._before = copy_context()
        self._context = self._before.copy()
        return self._context.run(self._manager.__enter__)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        self._context.run(self._catch_up, copy_context())
        return self._context.run(self._manager.__exit__, kind, error, traceback)

    def _catch_up(self, now: Context) -> None:
        for variable, value in now.items():
            # OpenTelemetry's own is what the first half has attached to.
            if self._before.get(variable) is not value and not isinstance(value, TelemetryContext):
                variable.set(value)


def _iterate_in_threadpool(original: Callable[[Iterable[T]], Any]) -> Callable[[Iterable[T]], Any]:
    @wraps(original)
    def iterate_in_threadpool(iterator: Iterable[T]) -> Any:
        return original(_Steps(iterator))

    return iterate_in_threadpool


def _contextmanager_in_threadpool(original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def contextmanager_in_threadpool(cm: AbstractContextManager[T]) -> Any:
        return original(_Halves(cm))

    return contextmanager_in_threadpool


def streaming(module: ModuleType) -> tuple[Patch, ...]:
    """Return what keeps the steps of streaming bodies together, in a module that streams them."""
    return (Patch(module, "iterate_in_threadpool", _iterate_in_threadpool),)


def dependencies(module: ModuleType) -> tuple[Patch, ...]:
    """Return what keeps the halves of synchronous `yield` dependencies together."""
    return (Patch(module, "contextmanager_in_threadpool", _contextmanager_in_threadpool),)
