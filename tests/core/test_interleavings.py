"""
Generated interleavings of concurrent requests, held against a model.

Every actor, a task or a thread, does one step at a time when the schedule says so; a step sets, binds, leaves, opens a
span, uses OpenTelemetry's baggage, starts another actor, awaits or fails. The model knows what each actor must see:

- a request is a dict that its actors share;
- a place in an actor is a stack of blocks, each with what it shadows and what OpenTelemetry's API put in it;
- `set` writes to the dict, and takes the name off all blocks around it, whoever else is in them.

After every single step all actors are asked what they see.
"""

from __future__ import annotations

import asyncio
import contextvars
import queue
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry import baggage
from opentelemetry.context import attach, detach
from opentelemetry.sdk.trace import TracerProvider

import otelctx
from otelctx.core.registry import Registry, replace
from otelctx.core.state import _ambient

TRACER = TracerProvider(shutdown_on_exit=False).get_tracer("tests")

# A remote field, a local one, and one that nobody declares.
NAMES = ("user_id", "tenant", "step")


class GeneratedError(Exception):
    """What a generated step fails with."""


# The model.


@dataclass
class Block:
    """One block around a place: what it shadows, and how to leave it."""

    kind: str
    bound: dict[str, object] = field(default_factory=dict)


@dataclass
class Place:
    """What one actor is inside of, and what it must see there."""

    request: dict[str, object]
    blocks: list[Block]

    def expected(self) -> dict[str, object]:
        seen = dict(self.request)
        for block in self.blocks:
            seen.update(block.bound)
        return {name: seen.get(name) for name in NAMES}

    def set(self, name: str, value: object) -> None:
        self.request[name] = value
        for block in self.blocks:
            block.bound.pop(name, None)

    def child(self) -> Place:
        # The same blocks, not copies: who started it and what it started are in them together.
        return Place(self.request, list(self.blocks))


# The real thing: an actor obeys one command at a time, wherever it runs.


@dataclass
class Actor:
    """One line of work: its place in the model, and the real blocks it has open."""

    place: Place
    own: int = 0
    exits: list[ExitStack] = field(default_factory=list)

    def enter(self, kind: str, name: str, value: object) -> None:
        stack = ExitStack()
        block = Block(kind)
        if kind == "bind":
            stack.enter_context(otelctx.bind(**{name: value}))
            block.bound[name] = value
        elif kind == "span":
            stack.enter_context(TRACER.start_as_current_span("span"))
        elif kind == "baggage":
            stack.callback(detach, attach(baggage.set_baggage("user_id", str(value))))
            block.bound["user_id"] = str(value)
        elif kind == "remove":
            stack.callback(detach, attach(baggage.remove_baggage("user_id")))
            block.bound["user_id"] = None
        self.exits.append(stack)
        self.place.blocks.append(block)

    def leave(self, *, by_failure: bool) -> None:
        if not self.exits:
            return
        stack = self.exits.pop()
        # Not `pop`: others may be in the block still, and it is theirs too.
        self.place.blocks = self.place.blocks[:-1]
        if not by_failure:
            stack.close()
            return
        with pytest.raises(GeneratedError), stack:
            raise GeneratedError

    def check(self) -> None:
        expected = self.place.expected()
        assert {name: otelctx.get(name) for name in NAMES} == expected
        current = otelctx.current()
        assert {name: current.get(name) for name in NAMES} == expected
        assert baggage.get_baggage("user_id") == expected["user_id"]
        assert not {"tenant", "step"} & set(baggage.get_all())
        assert otelctx.get("request_id") == self.place.request["request_id"]
        headers: dict[str, str] = {}
        otelctx.inject(headers)
        members = set(headers["baggage"].split(","))
        sent = {f"request_id={expected_id}" for expected_id in [self.place.request["request_id"]]}
        if expected["user_id"] is not None:
            sent.add(f"user_id={expected['user_id']}")
        assert members == sent


Step = tuple[str, int, str, str]

STEPS: st.SearchStrategy[list[Step]] = st.lists(
    st.tuples(
        st.sampled_from(
            "set set bind bind span baggage remove leave fail unset start cancel open".split()  # noqa: SIM905
        ),
        st.integers(0, 7),
        st.sampled_from(NAMES),
        st.sampled_from(["task", "thread"]),
    ),
    min_size=1,
    max_size=25,
)


def do(actor: Actor, kind: str, name: str, value: object) -> None:
    """Take one step, in the real thing and in the model."""
    if kind == "set":
        otelctx.set(**{name: value})
        actor.place.set(name, value)
    elif kind == "unset":
        otelctx.set(**{name: None})
        actor.place.set(name, None)
    elif kind in {"bind", "span", "baggage", "remove"}:
        actor.enter(kind, name, value)
    elif kind in {"leave", "fail"}:
        actor.leave(by_failure=kind == "fail")


class Line(ABC):
    """An actor that runs somewhere, and takes a command whenever it is told to."""

    def __init__(self, actor: Actor) -> None:
        self.actor = actor

    @abstractmethod
    async def command(self, work: Callable[[], Any]) -> Any:
        """Let the actor do *work* where it runs, and return what that returns."""

    @abstractmethod
    async def stop(self) -> None:
        """End the line."""


class TaskLine(Line):
    """A task that awaits between any two steps."""

    def __init__(self, actor: Actor, *, new_request: bool) -> None:
        super().__init__(actor)
        self._commands: asyncio.Queue[tuple[Callable[[], Any], asyncio.Future[Any]]] = asyncio.Queue()
        self._task = asyncio.get_running_loop().create_task(self._live(new_request))

    async def _live(self, new_request: bool) -> None:
        if new_request:
            async with otelctx.request(request_id=self.actor.place.request["request_id"]):
                await self._obey()
        else:
            await self._obey()

    async def _obey(self) -> None:
        while True:
            work, answer = await self._commands.get()
            try:
                answer.set_result(work())
            except BaseException as error:  # noqa: BLE001 - handed to the main thread
                answer.set_exception(error)

    async def command(self, work: Callable[[], Any]) -> Any:
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._commands.put_nowait((work, answer))
        return await answer

    async def stop(self) -> None:
        """Cancel the task wherever it waits, with all its blocks open."""
        self._task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await self._task


class ThreadLine(Line):
    """A thread in a copy of the context of whoever started it."""

    def __init__(self, actor: Actor, *, new_request: bool) -> None:
        super().__init__(actor)
        self._commands: queue.SimpleQueue[tuple[Callable[[], Any], queue.SimpleQueue[Any]] | None] = queue.SimpleQueue()
        context = contextvars.copy_context()
        self._thread = threading.Thread(target=context.run, args=(self._live, new_request))
        self._thread.start()

    def _live(self, new_request: bool) -> None:
        if new_request:
            with otelctx.request(request_id=self.actor.place.request["request_id"]):
                self._obey()
        else:
            self._obey()

    def _obey(self) -> None:
        while (item := self._commands.get()) is not None:
            work, answer = item
            try:
                answer.put((work(), None))
            except BaseException as error:  # noqa: BLE001 - handed to the main thread
                answer.put((None, error))

    async def command(self, work: Callable[[], Any]) -> Any:
        answer: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._commands.put((work, answer))
        result, error = answer.get()
        if error is not None:
            raise error
        return result

    async def stop(self) -> None:
        self._commands.put(None)
        self._thread.join()


class World:
    """All lines of work of one example."""

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self.serial = 0

    def unique(self) -> str:
        self.serial += 1
        return f"v{self.serial}"

    def open(self, where: str) -> None:
        """Start a line of work in a request of its own."""
        request: dict[str, object] = {"request_id": f"r-{self.unique()}"}
        actor = Actor(Place(request, []))
        self.lines.append(LINES[where](actor, new_request=True))

    async def start(self, parent: Line, where: str) -> None:
        """Let *parent* start a line of work in its request and its blocks."""
        actor = Actor(parent.actor.place.child())
        self.lines.append(await parent.command(lambda: LINES[where](actor, new_request=False)))

    async def take(self, step: Step) -> None:
        kind, choice, name, where = step
        line = self.lines[choice % len(self.lines)]
        if kind == "open":
            self.open(where)
        elif kind == "start":
            # A thread has no loop to start a task in.
            await self.start(line, "thread" if isinstance(line, ThreadLine) else where)
        elif kind == "cancel":
            if len(self.lines) > 1:
                self.lines.remove(line)
                await line.stop()
        else:
            value = self.unique()
            await line.command(lambda: do(line.actor, kind, name, value))

    async def check(self) -> None:
        for line in self.lines:
            await line.command(line.actor.check)
        # Nothing has leaked to the conductor, who is in no request at all.
        assert otelctx.current() == {}
        assert baggage.get_all() == {}


LINES: dict[str, Callable[..., Line]] = {"task": TaskLine, "thread": ThreadLine}


async def play(steps: list[Step], kind_of_tasks: str = "lazy") -> None:
    """Take *steps*, and ask everybody what they see after each."""
    if kind_of_tasks == "eager" and sys.version_info >= (3, 12):
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
    world = World()
    world.open("task")
    world.open("thread")
    try:
        await world.check()
        for step in steps:
            await world.take(step)
            await world.check()
    finally:
        for line in world.lines:
            await line.stop()


def run(main: Awaitable[None]) -> None:
    """Run one example in a context, a loop and a registry of its own."""
    before = replace(Registry([*Registry().by_name.values(), otelctx.Field("tenant")]))
    token = _ambient.set(None)
    try:
        contextvars.copy_context().run(asyncio.run, main)  # type: ignore[arg-type]
    finally:
        _ambient.reset(token)
        replace(before)


@pytest.mark.parametrize("kind_of_tasks", ["lazy", "eager"] if sys.version_info >= (3, 12) else ["lazy"])
def test_no_value_is_seen_in_the_wrong_request_or_place(kind_of_tasks: str) -> None:
    """Read your writes, bind restores, and requests are apart, whatever the interleaving."""

    @settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(STEPS)
    def holds(steps: list[Step]) -> None:
        run(play(steps, kind_of_tasks))

    holds()


def test_a_binding_that_a_sibling_sets_over() -> None:
    """A regression in the form of a schedule: a task in the block of another takes the block's name over."""
    run(play([
        ("bind", 0, "tenant", "task"),
        ("start", 0, "tenant", "task"),
        ("start", 0, "tenant", "thread"),
        ("bind", 2, "tenant", "task"),
        ("set", 3, "tenant", "task"),
        ("leave", 0, "tenant", "task"),
        ("unset", 2, "user_id", "task"),
        ("cancel", 0, "user_id", "task"),
        ("baggage", 1, "user_id", "task"),
        ("set", 1, "user_id", "task"),
    ]))  # fmt: skip


# Free running: no schedule at all, as many switches as the interpreter can be made to do.


def test_threads_of_many_requests_hammer_at_once() -> None:
    """No call raises and no value strays while threads of a request write, bind, read and iterate as they like."""
    interval = sys.getswitchinterval()
    errors: list[BaseException] = []
    barrier = threading.Barrier(8)

    def work(request: int) -> None:
        try:
            barrier.wait()
            for number in range(150):
                with otelctx.bind(step=f"{request}-{number}"):
                    otelctx.set(user_id=f"{request}-{number}", **{f"name{number % 7}": request})
                    assert str(otelctx.get("user_id")).startswith(f"{request}-")
                    assert otelctx.get("step") == f"{request}-{number}"
                    seen = otelctx.current()
                    assert {value for name, value in seen.items() if name.startswith("name")} <= {request}
                    assert str(baggage.get_baggage("user_id")).startswith(f"{request}-")
                    assert all(str(value).startswith(f"{request}-") for _, value in baggage.get_all().items())
                    headers: dict[str, str] = {}
                    otelctx.inject(headers)
                    assert f"user_id={request}-" in headers["baggage"]
        except BaseException as error:  # noqa: BLE001 - handed to the main thread
            errors.append(error)

    threads = []
    sys.setswitchinterval(1e-6)
    try:
        for request in range(2):
            with otelctx.request(request_id=f"{request}-id"), otelctx.bind(outer=request):
                for _ in range(4):
                    context = contextvars.copy_context()
                    threads.append(threading.Thread(target=context.run, args=(work, request)))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert errors == []


def test_threads_in_one_block_set_over_it_while_others_read() -> None:
    """A reader in the block sees its value or the new one, never the one outside, and nothing raises."""
    interval = sys.getswitchinterval()
    errors: list[BaseException] = []
    rounds = 200
    barrier = threading.Barrier(3)

    def reader(blocks: list[contextvars.Context]) -> None:
        try:
            for block in blocks:
                barrier.wait()
                seen = [block.copy().run(otelctx.get, "step") for _ in range(5)]
                assert set(seen) <= {"bound", "set"}
                assert "bound" not in seen[seen.index("set") :] if "set" in seen else True
                block.copy().run(lambda: dict(otelctx.current()))
        except BaseException as error:  # noqa: BLE001 - handed to the main thread
            errors.append(error)
            barrier.abort()

    def writer(blocks: list[contextvars.Context]) -> None:
        try:
            for block in blocks:
                barrier.wait()
                block.copy().run(lambda: otelctx.set(step="set"))
        except BaseException as error:  # noqa: BLE001 - handed to the main thread
            errors.append(error)
            barrier.abort()

    blocks = []
    for _ in range(rounds):
        with otelctx.request(step="outside"), otelctx.bind(step="bound"):
            blocks.append(contextvars.copy_context())
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=target, args=(blocks,)) for target in (reader, reader, writer)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert errors == []
