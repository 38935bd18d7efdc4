"""Fields cross from Python to Node.js and Go and back, between real servers, over W3C's headers and nothing else."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest

from tests.peers.programs import MissingError, go_peer, node_peer

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACEPARENT = f"00-{TRACE}-00f067aa0ba902b7-01"
REQUEST_ID = "0197f3c2-7c1a-7c4e-9f0e-3c9d5b2a7e10"
# What another language could take for something else: spaces, pluses, separators, percent signs, quotes, other scripts.
AWKWARD = {
    "request_id": REQUEST_ID,
    "user_id": "Zoë 山田",
    "plus": "a+b c",
    "separators": "a,b;c=d",
    "percent": "100 % %2C",
    "quotes": '"quoted" \\ back',
    "emoji": "🦉🧶",
}
MOST = {"request_id": REQUEST_ID, "user_id": "alice"} | {f"field{number}": f"värde {number}" for number in range(62)}
FIELDS = ",".join(f"{name}:remote" for name in {**AWKWARD, **MOST} if name not in {"request_id", "user_id"})

Query = dict[str, Any]


@pytest.fixture(scope="module", params=["node", "go"])
def peer(request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of a server in another language."""
    yield from serving(request.param)


@pytest.fixture(scope="module")
def others() -> Iterator[list[str]]:
    """The addresses of one server in each."""
    node, go = serving("node"), serving("go")
    yield [next(node), next(go)]
    for server in (node, go):
        server.close()


def serving(language: str) -> Iterator[str]:
    try:
        command = node_peer("http.mjs") if language == "node" else [*go_peer(), "http"]
    except MissingError as missing:
        pytest.skip(f"no server in {language}: {missing}")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield f"http://127.0.0.1:{json.loads(process.stdout.readline())['port']}/relay"
        finally:
            process.kill()


@pytest.fixture(scope="module")
def python(make_service) -> str:
    """The address of an otelctx application that has no code for it."""
    service = make_service(
        "uvicorn", "relay:app", "--port", "{port}", instrumentations=["starlette", "httpx"], OTELCTX_FIELDS=FIELDS
    )
    service.wait_until_ready()
    return f"http://127.0.0.1:{service.port}/relay"


def ask(url: str, *, members: dict[str, str] | None = None, to: str = "", **headers: str) -> Query:
    query = {"members": json.dumps(members)} if members else {}
    if to:
        query["to"] = to
    address = f"{url}?{urlencode(query)}" if query else url
    answer = httpx.get(address, headers=headers, trust_env=False, timeout=60).raise_for_status()
    found: Query = answer.json()
    return found


def path(*urls: str) -> str:
    """Return the address that has each of *urls* call the next."""
    address = ""
    for url in reversed(urls):
        address = f"{url}?{urlencode({'to': address})}" if address else url
    return address


members = pytest.mark.parametrize("members", [AWKWARD, MOST], ids=["awkward", "64 members"])


@members
def test_what_begins_there_arrives_in_python(peer: str, python: str, members: dict[str, str]):
    answer = ask(peer, members=members, to=python, traceparent=TRACEPARENT)
    assert answer["answer"]["saw"] == members
    assert answer["answer"]["fields"] == members
    assert answer["answer"]["trace"] == TRACE


@members
def test_what_goes_through_python_arrives_there(peer: str, python: str, members: dict[str, str]):
    answer = ask(peer, members=members, to=path(python, peer), traceparent=TRACEPARENT)
    assert answer["answer"]["answer"]["saw"] == members
    assert answer["answer"]["answer"]["trace"] == TRACE


def test_what_python_makes_arrives_there(peer: str, python: str):
    answer = ask(python, to=peer)
    request_id = answer["fields"]["request_id"]
    assert answer["answer"]["saw"] == {"request_id": request_id}
    assert answer["answer"]["trace"] == answer["trace"]


@members
def test_a_round_through_all_of_them_changes_nothing(others: list[str], python: str, members: dict[str, str]):
    node, go = others
    answer = ask(node, members=members, to=path(python, go, node, python, go), traceparent=TRACEPARENT)
    seen = []
    while answer is not None:
        seen.append((answer["saw"], answer["trace"]))
        answer = answer.get("answer")
    assert seen == [(members, TRACE)] * 6
