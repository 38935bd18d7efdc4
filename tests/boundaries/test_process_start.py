"""`multiprocessing.Process` and `os.fork`: a process of its own goes on in the request that started it."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from multiprocessing.managers import SyncManager
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import baggage
from opentelemetry.trace import Tracer, format_trace_id, get_current_span

import otelctx
from otelctx.boundaries import processes
from otelctx.core import reports

METHODS = ["fork", "forkserver", "spawn"]

pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")


@pytest.fixture(autouse=True)
def _installed() -> Iterator[None]:
    processes.install()
    yield
    processes.uninstall()


def look() -> dict[str, object]:
    return {
        "fields": dict(otelctx.current()),
        "baggage": {key: str(value) for key, value in baggage.get_all().items()},
        "trace": format_trace_id(get_current_span().get_span_context().trace_id),
    }


def tell(connection: Connection) -> None:
    connection.send(look())
    connection.close()


class Teller(multiprocessing.process.BaseProcess):
    """What a subclass with a `run` of its own is like, whatever the start method."""

    _start_method: str
    connection: Connection

    def run(self) -> None:
        tell(self.connection)


def answer_of(start: Callable[[Connection], Any]) -> Any:
    """Return what the process that *start* starts sends."""
    receiver, sender = multiprocessing.Pipe(duplex=False)
    process = start(sender)
    sender.close()
    answer = receiver.recv()
    receiver.close()
    process.join()
    assert process.exitcode == 0
    process.close()
    return answer


@pytest.mark.parametrize("method", METHODS)
class TestProcess:
    """`multiprocessing.Process`."""

    def test_it_sees_values_baggage_and_trace(self, method: str, tracer: Tracer) -> None:
        def start(connection: Connection) -> Any:
            process = multiprocessing.get_context(method).Process(target=tell, args=(connection,))
            process.start()
            assert "run" not in vars(process)
            return process

        carrier = {"baggage": "plan=gold,request_id=r,user_id=alice"}
        with (
            otelctx.request(peer="unix", carrier=carrier, tier=3),
            tracer.start_as_current_span("s") as span,
            otelctx.bind(step="a"),
        ):
            seen = answer_of(start)
        assert seen == {
            "fields": {"request_id": "r", "user_id": "alice", "tier": 3, "step": "a", "plan": "gold"},
            "baggage": {"request_id": "r", "user_id": "alice", "plan": "gold"},
            "trace": format_trace_id(span.get_span_context().trace_id),
        }

    def test_a_subclass_with_a_run_of_its_own_sees_them_too(self, method: str) -> None:
        def start(connection: Connection) -> Any:
            process = teller_of(method)()
            process.connection = connection
            process.start()
            return process

        with otelctx.request(request_id="r", user_id="alice"):
            assert answer_of(start)["fields"] == {"request_id": "r", "user_id": "alice"}

    def test_outside_a_request_it_is_in_none(self, method: str) -> None:
        def start(connection: Connection) -> Any:
            process = multiprocessing.get_context(method).Process(target=tell, args=(connection,))
            process.start()
            return process

        assert answer_of(start)["fields"] == {}

    def test_the_server_of_a_manager_is_in_no_request(self, method: str) -> None:
        Manager.register("look", look, exposed=["__getitem__"])
        with otelctx.request(user_id="maker"):
            manager = Manager(ctx=multiprocessing.get_context(method))
            manager.start()
        with manager:
            assert manager.look()["fields"] == {}  # type: ignore[attr-defined]


class Manager(SyncManager):
    """A manager with a server that says what it sees."""


class ForkTeller(Teller, multiprocessing.get_context("fork").Process):
    """By fork."""


class SpawnTeller(Teller, multiprocessing.get_context("spawn").Process):
    """By spawn."""


class ForkserverTeller(Teller, multiprocessing.get_context("forkserver").Process):
    """By a fork server."""


def teller_of(method: str) -> type[Any]:
    return {"fork": ForkTeller, "spawn": SpawnTeller, "forkserver": ForkserverTeller}[method]


class TestFork:
    """`os.fork` in the middle of a request: the same code goes on in both processes."""

    def test_the_child_goes_on_in_the_request_and_writes_do_not_mix(self) -> None:
        told, tell_child = os.pipe()
        answers, answer = os.pipe()
        with otelctx.request(request_id="r", user_id="alice", cart=(basket := object())):
            child = os.fork()
            if not child:
                try:
                    os.read(told, 1)
                    seen = [otelctx.get("user_id"), otelctx.get("request_id"), otelctx.get("cart") is basket]
                    otelctx.set(user_id="child")
                    os.write(answer, repr([*seen, otelctx.get("user_id")]).encode())
                finally:
                    os._exit(0)
            otelctx.set(user_id="parent")
            os.write(tell_child, b"x")
            text = os.read(answers, 1000).decode()
            assert os.waitpid(child, 0)[1] == 0
            assert otelctx.get("user_id") == "parent"
        for end in (told, tell_child, answers, answer):
            os.close(end)
        assert text == "['alice', 'r', True, 'child']"

    def test_the_child_can_report_although_another_thread_was_reporting(self) -> None:
        held, forking = threading.Event(), threading.Event()
        armed = [True]
        # Called before ours, which was registered earlier: then the other thread lets go.
        os.register_at_fork(before=lambda: forking.set() if armed else None)

        def hold() -> None:
            with reports.lock():
                held.set()
                forking.wait()

        thread = threading.Thread(target=hold)
        thread.start()
        held.wait()
        child = os.fork()
        if not child:
            os._exit(0 if reports.lock().acquire(timeout=10) else 1)
        armed.clear()
        thread.join()
        assert os.waitpid(child, 0)[1] == 0
        assert reports.lock().acquire(timeout=0)
        reports.lock().release()

    def test_what_the_child_traces_is_sent_when_it_exits(self, tmp_path: Path) -> None:
        script = tmp_path / "forking.py"
        script.write_text(FORKING)
        output = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True, timeout=60)
        lines = sorted(output.stdout.split("\n"))
        assert lines == ["", "child True alice", "parent False alice", "request True alice"], output.stderr


FORKING = """
import os, sys
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
import otelctx
from otelctx.setup.install import install

class Exporter(SpanExporter):
    def export(self, spans):
        for span in spans:
            of_child = os.getpid() != PARENT
            parent = span.parent is not None and span.parent.span_id == outer.get_span_context().span_id
            name = span.name
            text = f"{name} {parent if name != 'request' else not of_child} {span.attributes['user.id']}\\n"
            os.write(1, text.encode())
        return SpanExportResult.SUCCESS

PARENT = os.getpid()
provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(Exporter()))
trace.set_tracer_provider(provider)
install()
tracer = trace.get_tracer("forking")
with otelctx.request(user_id="alice"):
    outer = tracer.start_span("request")
    with trace.use_span(outer):
        child = os.fork()
        if not child:
            with tracer.start_as_current_span("child"):
                pass
            sys.exit()
        assert os.waitpid(child, 0)[1] == 0
    outer.end()
    with tracer.start_as_current_span("parent"):
        pass
"""
