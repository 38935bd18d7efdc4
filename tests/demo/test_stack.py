"""The stack's start and end, with the services as plain applications."""

from __future__ import annotations

import os
import socket
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from otelctx.demo.processes import ServiceDiedError
from otelctx.demo.readiness import NotReadyError
from otelctx.demo.services import clean_environment, listen
from otelctx.demo.stack import demo_stack

if TYPE_CHECKING:
    from tests.demo.conftest import Leftovers

NOWHERE = "http://127.0.0.1:1"


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make temporary directories in the test's own."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def stand_in(directory: Path, name: str, script: str) -> dict[str, str]:
    """Return settings with which the command *name* is a shell script."""
    directory.mkdir()
    path = directory / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return {"PATH": f"{directory}{os.pathsep}{clean_environment()['PATH']}"}


class TestAddresses:
    """Each service gets a socket of its own that nobody else can take."""

    def test_sockets_have_different_ports(self) -> None:
        with listen() as first, listen() as second:
            assert first.getsockname()[1] != second.getsockname()[1]

    def test_port_cannot_be_taken_by_another(self) -> None:
        with listen() as first, pytest.raises(OSError, match="in use"):
            socket.create_server(first.getsockname())

    def test_two_stacks_run_beside_each_other(self, temporary: Path, leftovers: Leftovers) -> None:
        with (
            demo_stack(launcher="plain", collector_url=NOWHERE) as first,
            demo_stack(launcher="plain", collector_url=NOWHERE) as second,
        ):
            urls = {
                url for stack in (first, second) for url in (stack.gateway_url, stack.orders_url, stack.inventory_url)
            }
            assert len(urls) == 6
            assert {httpx.get(f"{url}/healthz", trust_env=False).status_code for url in urls} == {200}
        assert leftovers.soon() == []
        assert list(temporary.iterdir()) == []


class TestFailure:
    """A stack that does not come up says which service is to blame, and leaves its logs and no process."""

    def test_service_that_dies_at_start_is_named(self, temporary: Path, leftovers: Leftovers) -> None:
        settings = stand_in(temporary / "bin", "gunicorn", "echo no shelf to put anything on >&2; exit 7")
        with (
            pytest.raises(ServiceDiedError, match=r"inventory ended with status 7[^\n]*\nno shelf to put anything on$"),
            demo_stack(launcher="plain", collector_url=NOWHERE, settings=settings),
        ):
            pytest.fail("it came up")
        assert leftovers.soon() == []
        assert [path.name for path in temporary.glob("otelctx-demo-*/inventory.log")] == ["inventory.log"]

    def test_service_that_answers_wrongly_is_named(self, temporary: Path, leftovers: Leftovers) -> None:
        server = temporary / "teapot.py"
        server.write_text(
            "import socket, sys\n"
            "listener = socket.socket(fileno=int(sys.argv[1].rpartition('/')[2]))\n"
            "connection, _ = listener.accept()\n"
            "connection.sendall(b'HTTP/1.1 418 no\\r\\n\\r\\n')\n"
            "connection.recv(1 << 16), listener.accept()\n"
        )
        settings = stand_in(temporary / "bin", "gunicorn", f"exec python {server} $3")
        with (
            pytest.raises(NotReadyError, match=r"inventory is not healthy: it answered b'HTTP/1.1 418"),
            demo_stack(launcher="plain", collector_url=NOWHERE, settings=settings),
        ):
            pytest.fail("it came up")
        assert leftovers.soon() == []

    def test_service_that_dies_later_is_found_by_check(self, temporary: Path, leftovers: Leftovers) -> None:
        with (  # noqa: PT012 - the last statement is what fails
            pytest.raises(ServiceDiedError, match="orders was killed by SIGKILL"),
            demo_stack(launcher="plain", collector_url=NOWHERE) as stack,
        ):
            stack.check()
            stack.processes["orders"].popen.kill()
            stack.processes["orders"].popen.wait()
            stack.check()
        assert leftovers.soon() == []
        assert list(temporary.glob("otelctx-demo-*/orders.log"))

    def test_files_are_removed_when_the_user_ends_it(self, temporary: Path, leftovers: Leftovers) -> None:
        with pytest.raises(KeyboardInterrupt), demo_stack(launcher="plain", collector_url=NOWHERE):
            raise KeyboardInterrupt
        assert leftovers.soon() == []
        assert list(temporary.iterdir()) == []


class TestEnvironment:
    """What the caller happens to have set changes nothing."""

    def test_variables_of_telemetry_and_servers_are_left_out(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("OTEL_SDK_DISABLED", "OTELCTX_STRICT", "WEB_CONCURRENCY", "GUNICORN_CMD_ARGS", "UVICORN_PORT"):
            monkeypatch.setenv(name, "1")
        assert not [name for name in clean_environment() if name.startswith(("OTEL", "WEB_", "GUNI", "UVI"))]

    def test_a_proxy_does_not_get_between_the_services(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HTTP_PROXY", "http://proxy.example:3128")
        assert clean_environment()["NO_PROXY"] == "127.0.0.1"
