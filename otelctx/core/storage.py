"""
AsyncLocalStorage: Node's class of that name, with OpenTelemetry's Context as its storage.

For those who port Node code or want a private store. Instances never disturb each other, nor anything else in the
Context. The behaviour is that of https://nodejs.org/api/async_context.html#class-asynclocalstorage
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Any, Generic, ParamSpec, TypeVar, cast

from opentelemetry.context import Context, attach, create_key, set_value

from otelctx.core.block import Block
from otelctx.core.here import here
from otelctx.core.snapshot import Snapshot

T = TypeVar("T")
P = ParamSpec("P")
R = TypeVar("R")


class AsyncLocalStorage(Generic[T]):
    """
    A store that follows the asynchronous flow of the code that enters it.

    >>> storage = AsyncLocalStorage(name="tenant")
    >>> storage.run("acme", storage.get_store)
    'acme'
    >>> storage.get_store() is None
    True
    """

    def __init__(self, *, name: str = "", default: T | None = None) -> None:
        """
        Make a storage of its own.

        Args:
            name: for people who debug; two storages of one name stay apart.
            default: what `get_store` returns where no store was entered.
        """
        self._name = name
        self._default = default
        self._key = create_key(f"otelctx-storage-{name}")

    @property
    def name(self) -> str:
        """The name it was made with."""
        return self._name

    def get_store(self) -> T | None:
        """Return the store of this place, else the default."""
        entry = here().get(self._key)
        return cast("_Entry[T]", entry).store if entry is not None else self._default

    def run(self, store: T, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call *function* with *store* as the store, for all it does and starts, and return its result."""
        return self._run(store, function, *args, **kwargs)

    def exit(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call *function* with no store, not even the default."""
        return self._run(None, function, *args, **kwargs)

    def enter_with(self, store: T) -> None:
        """Make *store* the store for the rest of this task, or of the block that put a Context on after it."""
        attach(self._with(store))

    def with_scope(self, store: T) -> Block:
        """Return a block for ``with`` in which *store* is the store."""
        return _Scope(self, store)

    def disable(self) -> None:
        """Take the store out of every context that it is in; `run` and `enter_with` start anew."""
        self._key = create_key(f"otelctx-storage-{self._name}")

    @staticmethod
    def bind(function: Callable[P, R]) -> Callable[P, R]:
        """Return *function* so that it always runs in the context of here, stores of all instances included."""
        return Snapshot().wrap(function)

    @staticmethod
    def snapshot() -> Callable[..., Any]:
        """Return a function that calls what it is given, with its arguments, in the context of here."""
        return Snapshot().run

    def _with(self, store: T | None) -> Context:
        return set_value(self._key, _Entry(store))

    def _run(self, store: T | None, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        with _Scope(self, store):
            result = function(*args, **kwargs)
        if inspect.iscoroutine(result):
            return cast("R", self._awaited(store, result))
        return result

    async def _awaited(self, store: T | None, result: Awaitable[Any]) -> Any:
        with _Scope(self, store):
            return await result


class _Entry(Generic[T]):
    """A box, so that a store of None differs from no store."""

    __slots__ = ("store",)

    def __init__(self, store: T | None) -> None:
        self.store = store


class _Scope(Block):
    """The block of one store."""

    __slots__ = ("_storage", "_store")

    def __init__(self, storage: AsyncLocalStorage[Any], store: Any) -> None:
        super().__init__()
        self._storage = storage
        self._store = store

    def _context(self) -> Context:
        return self._storage._with(self._store)  # noqa: SLF001 - one unit with its storage

    def _again(self) -> Block:
        return _Scope(self._storage, self._store)
