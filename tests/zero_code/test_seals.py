"""
Services that seal, one that does not and one with another key, as real processes: what is believed, and what is told.

The receiver's server span names the reason and the hop, which is what a trace is searched for.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from otelctx.propagation.seal import Sealer
from otelctx.propagation.sealing import SEAL

KEY, OTHER = "k" * 32, "o" * 32

SEALS = {
    "front": f'mode = "sign"\nkey = "{KEY}"\nrequire = []\n',
    "back": f'mode = "sign"\nkey = "{KEY}"\n',
    "intruder": f'mode = "sign"\nkey = "{OTHER}"\nrequire = []\n',
    "secret front": f'mode = "encrypt"\nkey = "{KEY}"\nrequire = []\n',
    "secret back": f'mode = "encrypt"\nkey = "{KEY}"\n',
    "plain": 'mode = "off"\n',
}


def tampered(headers: Mapping[str, str]) -> dict[str, str]:
    return {**headers, "baggage": headers["baggage"].replace("user_id=alice", "user_id=mallory")}


def expired(headers: Mapping[str, str]) -> dict[str, str]:
    yesterday = Sealer([KEY.encode()], "of-yesterday", clock=lambda: time.time() - 86_400)
    members = {"request_id": headers["x-request-id"], "user_id": "alice"}
    return {**headers, "baggage": yesterday.encode(members, None, "request_id")[0]}


class Run:
    """Requests from service to service, each with an id that says what it is; then the spans of all of them."""

    def __init__(self, start: Callable[[str], Any]) -> None:
        services = {name: start(name) for name in SEALS}
        self.names = {name: service.name for name, service in services.items()}
        self.seen: dict[str, dict[str, str]] = {}

        def call(through: str, to: str, request_id: str) -> None:
            headers = {"baggage": "user_id=alice", "x-request-id": request_id}
            url = f"http://127.0.0.1:{services[to].port}/called"
            answer = services[through].get(f"/call?url={url}", headers)
            self.seen[request_id] = {name: str(text) for name, text in json.loads(answer.body).items()}

        call("front", "back", "valid")
        call("secret front", "secret back", "encrypted")
        call("plain", "back", "unsealed")
        call("intruder", "back", "of-an-intruder")
        call("front", "plain", "replayed")
        call("front", "plain", "tampered")
        kept = ("baggage", "x-request-id")
        replayed, altered = ({name: self.seen[id_][name] for name in kept} for id_ in ("replayed", "tampered"))
        sent = [replayed, replayed, tampered(altered), expired({**replayed, "x-request-id": "expired"})]
        for headers in sent:
            services["back"].get("/called", headers)
        for service in services.values():
            service.stop()
        self._spans = [*services["back"].spans(), *services["secret back"].spans()]

    def served(self, request_id: str) -> list[dict[str, Any]]:
        """Return the attributes of the server spans of a request at the receivers."""
        return [s["attributes"] for s in self._spans if s["kind"] == "server" and s["request_id"] == request_id]


@pytest.fixture(scope="module")
def run(make_service: Any, tmp_path_factory: pytest.TempPathFactory) -> Run:
    def start(name: str) -> Any:
        folder: Path = tmp_path_factory.mktemp(name.replace(" ", "-"))
        (folder / "otelctx.toml").write_text(f"[otelctx.seal]\n{SEALS[name]}")
        options = {"instrumentations": ("httpx",), "cwd": folder}
        service = make_service("uvicorn", "--port", "{port}", "caller:app", **options)
        service.wait_until_ready()
        return service

    return Run(start)


def failure(attributes: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(attributes.get(name) for name in ("otelctx.seal.failure", "otelctx.seal.hop", "user.id"))


@pytest.mark.parametrize("request_id", ["valid", "encrypted"])
def test_sealed_fields_are_adopted(run: Run, request_id: str) -> None:
    (served,) = run.served(request_id)
    assert failure(served) == (None, None, "alice")


def test_they_are_in_the_clear_on_the_wire_unless_they_are_encrypted(run: Run) -> None:
    assert "user_id=alice" in run.seen["valid"]["baggage"]
    assert f"{SEAL}={run.names['front']}." in run.seen["valid"]["baggage"]
    assert "alice" not in json.dumps(run.seen["encrypted"])


def test_a_hop_without_a_seal_is_told_of(run: Run) -> None:
    (served,) = run.served("unsealed")
    assert failure(served) == ("missing", "unknown", None)


def test_a_hop_with_another_key_is_told_of_by_its_name(run: Run) -> None:
    (served,) = run.served("of-an-intruder")
    assert failure(served) == ("wrong key", run.names["intruder"], None)


def test_a_message_that_comes_twice_within_its_time_is_believed_twice(run: Run) -> None:
    assert [failure(served) for served in run.served("replayed")] == [(None, None, "alice")] * 2


def test_a_field_that_was_altered_on_the_way_is_told_of_with_who_sealed_it(run: Run) -> None:
    (served,) = run.served("tampered")
    assert failure(served) == ("altered field", run.names["front"], None)


def test_a_message_that_is_too_old_is_told_of(run: Run) -> None:
    (served,) = run.served("expired")
    assert failure(served) == ("expired", "of-yesterday", None)
