"""Signal handlers run in no request, and look to everybody else as they were registered."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import uvloop

from otelctx import get, request
from otelctx.boundaries import signal_handlers

LOOPS: list[Callable[[], asyncio.AbstractEventLoop]] = [asyncio.SelectorEventLoop, uvloop.new_event_loop]


@pytest.fixture(autouse=True)
def _installed() -> Iterator[None]:
    before = signal.signal, signal.getsignal, asyncio.SelectorEventLoop.add_signal_handler
    own = {*vars(uvloop.Loop)}
    (on_uvloop,) = signal_handlers.uvloop_handlers(uvloop)
    signal_handlers.install()
    on_uvloop.install()
    usr1 = signal.getsignal(signal.SIGUSR1)
    yield
    signal.signal(signal.SIGUSR1, usr1)
    on_uvloop.uninstall()
    signal_handlers.uninstall()
    assert before == (signal.signal, signal.getsignal, asyncio.SelectorEventLoop.add_signal_handler)
    assert {*vars(uvloop.Loop)} == own


def raise_signal() -> None:
    signal.raise_signal(signal.SIGUSR1)


class TestSignal:
    """`signal.signal`"""

    def test_the_handler_runs_neither_in_the_request_that_registered_it_nor_in_the_interrupted_one(self) -> None:
        seen: list[Any] = []
        with request(user_id="registering"):
            signal.signal(signal.SIGUSR1, lambda number, frame: seen.extend((number, frame.f_code, get("user_id"))))
        with request(user_id="interrupted"):
            raise_signal()
            assert get("user_id") == "interrupted"
        assert seen == [signal.SIGUSR1, raise_signal.__code__, None]

    def test_an_exception_arrives_where_it_always_did(self) -> None:
        def stop(*_: object) -> None:
            raise TimeoutError

        signal.signal(signal.SIGUSR1, stop)
        with request(user_id="interrupted"):
            with pytest.raises(TimeoutError):
                raise_signal()
            assert get("user_id") == "interrupted"

    def test_the_handler_itself_is_what_others_get(self) -> None:
        def first(*_: object) -> None: ...

        def second(*_: object) -> None: ...

        assert signal.signal(signal.SIGUSR1, first) is signal.SIG_DFL
        assert signal.getsignal(signal.SIGUSR1) is first
        assert signal.signal(signal.SIGUSR1, second) is first
        assert signal.signal(signal.SIGUSR1, signal.SIG_IGN) is second
        assert signal.getsignal(signal.SIGUSR1) is signal.SIG_IGN

    def test_ctrl_c_stays_pythons(self) -> None:
        before = signal.getsignal(signal.SIGINT)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)
        finally:
            signal.signal(signal.SIGINT, before)

    def test_what_was_registered_meanwhile_is_left_as_it_was_registered(self) -> None:
        def handler(*_: object) -> None: ...

        signal.signal(signal.SIGUSR1, handler)
        signal_handlers.uninstall()
        assert signal.getsignal(signal.SIGUSR1) is handler

    def test_uninstalling_in_another_thread_raises_nothing(self) -> None:
        signal.signal(signal.SIGUSR1, lambda *_: None)
        thread = threading.Thread(target=signal_handlers.uninstall)
        thread.start()
        thread.join()
        signal_handlers.install()


@pytest.mark.parametrize("new_loop", LOOPS)
def test_the_handler_of_a_loop_runs_in_no_request(new_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def main() -> object:
        loop = asyncio.get_running_loop()
        arrived: asyncio.Future[object] = loop.create_future()
        with request(user_id="registering"):
            loop.add_signal_handler(signal.SIGUSR1, lambda name: arrived.set_result(get(name)), "user_id")
        with request(user_id="interrupted"):
            os.kill(os.getpid(), signal.SIGUSR1)
            seen = await arrived
        assert loop.remove_signal_handler(signal.SIGUSR1)
        return seen

    loop = new_loop()
    try:
        assert loop.run_until_complete(main()) is None
    finally:
        loop.close()


@pytest.mark.skipif(not hasattr(asyncio, "Runner"), reason="Python 3.11 has it first")
def test_a_runner_still_turns_ctrl_c_into_a_cancellation() -> None:
    before = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, signal.default_int_handler)

    async def main() -> None:
        with request(user_id="alice"):
            signal.raise_signal(signal.SIGINT)
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                assert get("user_id") == "alice"
                raise

    try:
        with asyncio.Runner() as runner, pytest.raises(KeyboardInterrupt):
            runner.run(main())
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
