"""Subprocesses: the request in the environment of any program, and a Python program that goes on in it."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import uvloop
from opentelemetry.trace import Tracer, format_span_id, format_trace_id

import otelctx
from otelctx import Field
from otelctx.boundaries import subprocesses
from otelctx.propagation import egress
from otelctx.propagation.egress import NOTHING, EgressPolicy, Rule
from otelctx.propagation.environment import from_environment
from otelctx.propagation.pattern import parse_pattern

NAMES = ("TRACEPARENT", "TRACESTATE", "BAGGAGE", "X_REQUEST_ID")
SHOW = (
    "import json, os; print(json.dumps({name: os.environ[name] for name in "
    f"{NAMES} if name in os.environ}}), flush=True)"
)
PYTHON = [sys.executable, "-S", "-c", SHOW]
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture(autouse=True)
def _installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    subprocesses.install()
    yield
    subprocesses.uninstall()


def by_run(**options: Any) -> str:
    return subprocess.run(PYTHON, stdout=subprocess.PIPE, check=True, text=True, **options).stdout


def by_position(*, env: Any = None) -> str:
    process = subprocess.Popen(PYTHON, -1, None, None, subprocess.PIPE, None, None, True, False, None, env)
    return process.communicate()[0].decode()


def by_shell(**options: Any) -> str:
    return subprocess.check_output(shlex.join(PYTHON), shell=True, text=True, **options)


def by_asyncio(**options: Any) -> str:
    async def run() -> bytes:
        process = await asyncio.create_subprocess_exec(*PYTHON, stdout=subprocess.PIPE, **options)
        return (await process.communicate())[0]

    return asyncio.run(run()).decode()


def by_uvloop(**options: Any) -> str:
    async def run() -> bytes:
        command = shlex.join(PYTHON)
        process = await asyncio.create_subprocess_shell(command, stdout=subprocess.PIPE, **options)
        return (await process.communicate())[0]

    loop = uvloop.new_event_loop()
    try:
        return loop.run_until_complete(run()).decode()
    finally:
        loop.close()


def by_posix_spawn(*, env: Any = None) -> str:
    reader, writer = os.pipe()
    child = os.posix_spawn(
        sys.executable, PYTHON, os.environ if env is None else env, file_actions=[(os.POSIX_SPAWN_DUP2, writer, 1)]
    )
    os.close(writer)
    os.waitpid(child, 0)
    with os.fdopen(reader) as file:
        return file.read()


WAYS = [by_run, by_position, by_shell, by_asyncio, by_uvloop, by_posix_spawn]


@pytest.mark.parametrize("start", WAYS)
class TestCarrier:
    """What a program finds in its environment."""

    def test_the_trace_and_the_remote_fields(self, start: Callable[..., str], tracer: Tracer) -> None:
        carrier = {"tracestate": "a=1", "traceparent": TRACE, "baggage": "plan=gold,request_id=r"}
        with (
            otelctx.request(peer="unix", carrier=carrier, user_id="Jürgen", tier=3),
            tracer.start_as_current_span("s") as span,
        ):
            seen = json.loads(start())
        ids = span.get_span_context()
        assert seen == {
            "TRACEPARENT": f"00-{format_trace_id(ids.trace_id)}-{format_span_id(ids.span_id)}-01",
            "TRACESTATE": "a=1",
            "BAGGAGE": "request_id=r,user_id=J%C3%BCrgen,plan=gold",
        }

    def test_nothing_outside_a_request(self, start: Callable[..., str]) -> None:
        assert json.loads(start()) == {}

    def test_a_given_environment_is_copied(self, start: Callable[..., str]) -> None:
        given = {**os.environ, "OTHER": "x"}
        before = dict(given)
        with otelctx.request(request_id="r"):
            assert json.loads(start(env=given)) == {"BAGGAGE": "request_id=r"}
        assert (before, None) == (given, os.environ.get("BAGGAGE"))

    def test_what_it_says_counts(self, start: Callable[..., str]) -> None:
        with otelctx.request():
            assert json.loads(start(env={**os.environ, "TRACEPARENT": TRACE})) == {"TRACEPARENT": TRACE}
            assert json.loads(start(env={**os.environ, "BAGGAGE": ""})) == {"BAGGAGE": ""}

    def test_what_this_process_was_started_with_does_not(
        self, start: Callable[..., str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("TRACEPARENT", TRACE)
        monkeypatch.setenv("BAGGAGE", "request_id=old")
        with otelctx.request(request_id="new"):
            assert json.loads(start()) == {"BAGGAGE": "request_id=new"}
            assert json.loads(start(env=dict(os.environ))) == {"BAGGAGE": "request_id=new"}
        assert os.environ["TRACEPARENT"] == TRACE

    @pytest.mark.parametrize("trace", [True, False])
    def test_nor_does_it_go_where_the_policy_lets_no_field_go(
        self, start: Callable[..., str], trace: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        rule = Rule((parse_pattern("process://*"),), NOTHING, trace=trace)
        before = egress.replace(EgressPolicy((rule,)))
        monkeypatch.setenv("BAGGAGE", "user_id=parent")
        try:
            with otelctx.request(user_id="alice"):
                assert json.loads(start()) == {}
            assert json.loads(start()) == json.loads(start(env=dict(os.environ))) == {}
            assert json.loads(start(env={**os.environ, "BAGGAGE": "mine=1"})) == {"BAGGAGE": "mine=1"}
        finally:
            egress.replace(before)
        assert json.loads(start()) == {"BAGGAGE": "user_id=parent"}


class TestForms:
    """Environments of other forms."""

    def test_names_in_bytes_count_as_well(self) -> None:
        given = {os.fsencode(name): os.fsencode(value) for name, value in os.environ.items()}
        with otelctx.request(request_id="r"):
            assert json.loads(by_run(env=given)) == {"BAGGAGE": "request_id=r"}
            assert json.loads(by_run(env={**given, b"TRACEPARENT": b"mine"})) == {"TRACEPARENT": "mine"}

    def test_what_is_no_mapping_fails_as_it_always_did(self) -> None:
        with otelctx.request(), pytest.raises((AttributeError, TypeError)):
            by_run(env=3)

    def test_a_subclass_of_popen_carries_it(self) -> None:
        class Mine(subprocess.Popen[bytes]):
            pass

        with otelctx.request(request_id="r"), Mine(PYTHON, stdout=subprocess.PIPE) as process:
            assert json.loads(process.communicate()[0]) == {"BAGGAGE": "request_id=r"}

    def test_uninstalled_everything_is_the_very_same_again(self) -> None:
        subprocesses.uninstall()
        owners = (subprocess.Popen, os, asyncio, asyncio.subprocess)
        before = [dict(vars(owner)) for owner in owners]
        subprocesses.install()
        subprocesses.install()
        assert before != [dict(vars(owner)) for owner in owners]
        subprocesses.uninstall()
        assert before == [dict(vars(owner)) for owner in owners]


class TestReading:
    """What an environment brings."""

    @pytest.mark.parametrize(
        "environ",
        [{}, {"TRACEPARENT": ""}, {"TRACEPARENT": "nonsense"}, {"BAGGAGE": "=,;"}, {"X_REQUEST_ID": "r"}],
        ids=str,
    )
    def test_nothing_comes_of_nothing(self, environ: dict[str, str]) -> None:
        assert from_environment(environ) is None

    def test_values_come_as_their_fields_hold_them(self) -> None:
        otelctx.declare(Field("attempt", type=int, remote=True))
        context = from_environment({"BAGGAGE": "attempt=3,user_id=J%C3%BCrgen,plan=gold"})
        assert context is not None
        with otelctx.request(carrier={}):
            pass
        seen = otelctx.snapshot().run(lambda: (subprocesses.attach(context), dict(otelctx.current()))[1])
        assert {"attempt": 3, "user_id": "Jürgen", "plan": "gold"}.items() <= seen.items()


CHILD = """
import json, logging, os, subprocess, sys, threading
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
import otelctx
from opentelemetry.trace import get_current_span

def look():
    return [dict(otelctx.current()), format(get_current_span().get_span_context().trace_id, "032x")]

if __name__ == "__main__":
    seen = {"main": look()}
    thread = threading.Thread(target=lambda: seen.update(thread=look()))
    thread.start()
    thread.join()
    otelctx.set(user_id="child")
    if "below" not in sys.argv:
        seen["below"] = json.loads(subprocess.check_output([sys.executable, __file__, "below"]))
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            seen["job"] = pool.submit(look).result()
            with otelctx.request(carrier={}):
                seen["other"] = pool.submit(look).result()
    from otelctx.integrations.wsgi import OtelctxMiddleware
    OtelctxMiddleware(lambda environ, start: seen.update(served=look()) or [])({}, None)
    print(json.dumps(seen))
"""


class TestContinuing:
    """A Python program that is set up goes on in the request that started it."""

    def run(self, tmp_path: Path, **variables: str) -> Any:
        script = tmp_path / "child.py"
        script.write_text(CHILD)
        none = {f"OTEL_{signal}_EXPORTER": "none" for signal in ("TRACES", "METRICS", "LOGS")}
        command = [str(Path(sys.executable).with_name("otelctx")), "run", str(script)]
        process = subprocess.run(
            command, env={**os.environ, **none, **variables}, capture_output=True, text=True, check=False, timeout=60
        )
        assert process.returncode == 0, process.stderr
        assert "Error" not in process.stderr
        return json.loads(process.stdout)

    def test_so_do_its_threads_jobs_and_programs(self, tmp_path: Path) -> None:
        subprocesses.uninstall()
        seen = self.run(tmp_path, TRACEPARENT=TRACE, BAGGAGE="request_id=r,user_id=parent,plan=gold")
        trace = TRACE.split("-")[1]
        parent = {"request_id": "r", "user_id": "parent", "plan": "gold"}
        child = {**parent, "user_id": "child"}
        assert seen["main"] == seen["thread"] == [parent, trace]
        assert seen["job"] == [child, trace]
        assert seen["below"].pop("served")[1] == "0" * 32
        assert seen["below"] == {"main": [child, trace], "thread": [child, trace]}
        # What another request hands over, and what a server serves, has nothing of it.
        for fields, other_trace in (seen["other"], seen["served"]):
            assert (set(fields), other_trace) == ({"request_id"}, "0" * 32)
            assert fields["request_id"] != "r"

    def test_one_that_none_has_started_is_in_no_request(self, tmp_path: Path) -> None:
        subprocesses.uninstall()
        seen = self.run(tmp_path)
        assert seen["main"] == [{}, "0" * 32]

    def test_turned_off_its_programs_are_told_nothing_new(self, tmp_path: Path) -> None:
        subprocesses.uninstall()
        seen = self.run(tmp_path, BAGGAGE="user_id=parent", OTELCTX_SUBPROCESSES="false")
        assert seen["below"]["main"][0]["user_id"] == "parent"

    def test_only_the_main_thread_does(self) -> None:
        with ThreadPoolExecutor(1) as pool:
            pool.submit(subprocesses.continue_parents_request, {"TRACEPARENT": TRACE}).result()
            assert pool.submit(otelctx.current).result() == {}

    def test_it_leaves_on_uninstall(self) -> None:
        subprocesses.continue_parents_request({"BAGGAGE": "user_id=parent"})
        assert otelctx.get("user_id") == "parent"
        subprocesses.leave_parents_request()
        assert otelctx.get("user_id") is None
