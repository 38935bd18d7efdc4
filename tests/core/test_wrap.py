"""
`wrap`: register now, be called by anybody later, in the context of here.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from typing import Any

import pytest

import otelctx
from otelctx import bind, get, wrap


class Emitter:
    """As any event emitter is: it calls whoever has registered, from wherever it is used."""

    def __init__(self) -> None:
        self.listeners: list[Callable[..., Any]] = []

    def emit(self, *event: object) -> list[Any]:
        return [listener(*event) for listener in self.listeners]


class Listener:
    """Every kind of method."""

    def method(self, event: str) -> tuple[object, str]:
        """Listen."""
        return get("step"), event

    async def asynchronous(self, event: str) -> tuple[object, str]:
        await asyncio.sleep(0)
        return get("step"), event

    @staticmethod
    def static(event: str) -> tuple[object, str]:
        return get("step"), event

    @classmethod
    def of_class(cls, event: str) -> tuple[object, str]:
        return get("step"), event

    __call__ = method


class AsynchronousListener:
    async def __call__(self, event: str) -> tuple[object, str]:
        await asyncio.sleep(0)
        return get("step"), event


class GeneratingListener:
    def __call__(self, event: str) -> Iterator[object]:
        yield get("step"), event


def listens(event: str, *, prefix: str = "") -> tuple[object, str]:
    return get("step"), prefix + event


def registered(function: Callable[..., Any]) -> Callable[..., Any]:
    with bind(step="registered"):
        return wrap(function)


SYNCHRONOUS = [
    listens,
    partial(listens, prefix=""),
    Listener().method,
    Listener(),
    Listener.static,
    Listener.of_class,
    lambda event: (get("step"), event),
]


@pytest.mark.parametrize("function", SYNCHRONOUS)
def test_a_listener_runs_where_it_was_registered(function: Callable[..., Any]) -> None:
    emitter = Emitter()
    emitter.listeners.append(registered(function))
    with bind(step="emitting"):
        assert emitter.emit("event") == [("registered", "event")]
        assert get("step") == "emitting"


@pytest.mark.parametrize("function", [Listener().asynchronous, AsynchronousListener(), partial(AsynchronousListener())])
async def test_an_asynchronous_one_does_too(function: Callable[..., Any]) -> None:
    assert await registered(function)("event") == ("registered", "event")


def test_what_was_asynchronous_is_known_to_be() -> None:
    for function in (Listener().asynchronous, AsynchronousListener(), partial(Listener().asynchronous)):
        assert inspect.iscoroutinefunction(registered(function))
    assert not inspect.iscoroutinefunction(registered(Listener()))


def test_generators_stay_generators() -> None:
    async def events() -> AsyncIterator[object]:
        yield get("step")

    assert inspect.isasyncgenfunction(registered(events))
    assert inspect.isgeneratorfunction(registered(GeneratingListener()))
    assert list(registered(GeneratingListener())("event")) == [("registered", "event")]


@pytest.mark.parametrize("function", SYNCHRONOUS)
def test_the_signature_stays(function: Callable[..., Any]) -> None:
    assert inspect.signature(registered(function)) == inspect.signature(function)


def test_the_name_and_the_documentation_stay() -> None:
    assert registered(Listener().method).__name__ == "method"
    assert registered(Listener().method).__doc__ == "Listen."
    assert registered(partial(listens)).__name__ == "listens"
    assert registered(Listener()).__name__ == "Listener"
    assert registered(len)("abc") == 3


def test_as_a_decorator_in_a_class_on_either_side_of_staticmethod_and_classmethod() -> None:
    with bind(step="defined"):

        class Decorated:
            @wrap
            def method(self) -> object:
                return get("step")

            @wrap
            @staticmethod
            def static() -> object:
                return get("step")

            @staticmethod
            @wrap
            def static_too() -> object:
                return get("step")

            @wrap
            @classmethod
            def of_class(cls) -> object:
                return cls.__name__, get("step")

    one = Decorated()
    assert (one.method(), one.static(), one.static_too(), Decorated.static()) == ("defined",) * 4
    assert one.of_class() == Decorated.of_class() == ("Decorated", "defined")


def test_set_comes_back_and_bind_does_not() -> None:
    def listener() -> None:
        otelctx.set(user_id="set there")
        bind(step="left open").__enter__()

    with otelctx.request(user_id="alice"):
        call = wrap(listener)
        with otelctx.request(user_id="bob"):
            call()
            assert (get("user_id"), get("step")) == ("bob", None)
        assert (get("user_id"), get("step")) == ("set there", None)


def test_an_exception_carries() -> None:
    with pytest.raises(ZeroDivisionError):
        wrap(lambda: 1 // 0)()
