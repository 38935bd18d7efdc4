"""
What every test starts with: the built-in fields, an empty Context, nothing said yet.
"""

from __future__ import annotations

import asyncio
import inspect
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from hypothesis import settings
from opentelemetry.context import Context, attach, detach
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import Tracer

import otelctx
from otelctx.core import redaction, registry, reports, state, verbs
from otelctx.native import compiled_floors
from otelctx.propagation import egress, ingress, sealing
from tests.patched import differences, patched

# An example that takes long says that the machine is busy, and no more.
settings.register_profile("no time limit", deadline=None)
settings.load_profile("no time limit")

TASKS = ["lazy", "eager"] if sys.version_info >= (3, 12) else ["lazy"]


@pytest.fixture(autouse=True, scope="session")
def _state_of_their_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Programs that tests start keep nothing in the home of whoever runs them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(autouse=True)
def _nothing_left_over(doctest_namespace: dict[str, Any]) -> Iterator[None]:
    declared = registry.replace(registry.Registry())
    inbound = ingress.replace(ingress.Ingress())
    # Most tests inject by hand and send nothing anywhere; those of the egress policy put theirs in force.
    outbound = egress.replace(egress.EgressPolicy(unknown=egress.ALL))
    ambient = state._ambient.set(None)
    context = attach(Context())
    said_so, verbs._said_so = verbs._said_so, False
    with reports._lock:
        reports._counts.clear()
        reports._logged_at.clear()
    doctest_namespace.update({name: getattr(otelctx, name) for name in otelctx.__all__})
    yield
    verbs._said_so = said_so
    detach(context)
    state._ambient.reset(ambient)
    registry.replace(declared)
    redaction.use_keys(())
    ingress.replace(inbound)
    egress.replace(outbound)
    sealing.replace(None)


@pytest.fixture(autouse=True)
def _nothing_left_patched() -> Iterator[None]:
    before = patched()
    yield
    assert [] == differences(before, patched()), "the test has left these replaced"


@pytest.fixture
def tracer() -> Tracer:
    """A tracer of the real SDK that records and exports nothing."""
    return TracerProvider(shutdown_on_exit=False).get_tracer("tests")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give each asynchronous test that uses `tasks` every kind of them that this Python has."""
    if "tasks" in metafunc.fixturenames:
        asynchronous = inspect.iscoroutinefunction(metafunc.function)
        metafunc.parametrize("tasks", TASKS if asynchronous else TASKS[:1], indirect=True)


@pytest.fixture
async def tasks(request: pytest.FixtureRequest) -> AsyncIterator[None]:
    """Run the test with tasks that start when they are waited for, and with tasks that start at once."""
    if sys.version_info >= (3, 12) and request.param == "eager":
        loop = asyncio.get_running_loop()
        loop.set_task_factory(asyncio.eager_task_factory)
        yield
        loop.set_task_factory(None)
    else:
        yield


def pytest_report_header() -> str:
    """Say which of both is tested."""
    return f"otelctx: compiled twins of {', '.join(compiled_floors()) or 'nothing'}"


def pytest_configure() -> None:
    """Let Ctrl-C reach the programs of the tests, also where a shell that runs this in the background ignores it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
