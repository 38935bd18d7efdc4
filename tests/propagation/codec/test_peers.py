"""
The codec beside OpenTelemetry's own in Go and JavaScript: same members in, same members read, in both directions.
"""

from __future__ import annotations

import string
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otelctx.propagation.codec import decode, encode
from tests.peers.programs import MissingError, Peer, go_peer, node_peer

# All that a key may hold but the percent sign, which both percent-decode in keys; 3.3.1.2 has no encoding for keys.
# JavaScript has it worse: it percent-encodes them, so only what needs none arrives there and back.
KEYS = {
    "go": string.ascii_letters + string.digits + "!#$&'*+-.^_`|~",
    "js": string.ascii_letters + string.digits + "!'*-._~",
}
# JavaScript's leaves out members with an empty value; 3.3.1.3 allows them.
SHORTEST = {"go": 0, "js": 1}


def members_for(language: str) -> st.SearchStrategy[dict[str, str]]:
    texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=SHORTEST[language], max_size=30)
    keys = st.text(KEYS[language], min_size=1, max_size=20).filter("__proto__".__ne__)
    return st.dictionaries(keys, texts, min_size=1, max_size=20)


def started(command: list[str]) -> Iterator[Peer]:
    peer = Peer(command)
    yield peer
    peer.close()


@pytest.fixture(scope="module")
def go() -> Iterator[Peer]:
    try:
        yield from started(go_peer())
    except MissingError as missing:
        pytest.skip(f"no peer in Go: {missing}")


@pytest.fixture(scope="module")
def js() -> Iterator[Peer]:
    try:
        yield from started(node_peer("codec.mjs"))
    except MissingError as missing:
        pytest.skip(f"no peer in JavaScript: {missing}")


class TestGo:
    @settings(max_examples=300, deadline=None)
    @given(members_for("go"))
    def test_it_reads_what_we_send(self, go: Peer, members: dict[str, str]) -> None:
        assert go.ask(decode=[encode(members)[0]])["members"] == members

    @settings(max_examples=300, deadline=None)
    @given(members_for("go"))
    def test_we_read_what_it_sends(self, go: Peer, members: dict[str, str]) -> None:
        assert decode([go.ask(encode=members)["header"]]) == (members, {})

    def test_we_read_headers_as_it_does(self, go: Peer) -> None:
        for headers in HEADERS:
            assert decode(headers)[0] == go.ask(decode=headers)["members"]

    def test_the_limits_of_one_are_those_of_the_other(self, go: Peer) -> None:
        most = {f"k{number}": "v" for number in range(64)}
        assert go.ask(decode=[encode(most)[0]])["members"] == most
        largest = {"k": "v" * 8190}
        assert go.ask(decode=[encode(largest)[0]])["members"] == largest


class TestJavaScript:
    @settings(max_examples=300, deadline=None)
    @given(members_for("js"))
    def test_it_reads_what_we_send(self, js: Peer, members: dict[str, str]) -> None:
        assert js.ask(decode=[encode(members)[0]])["members"] == members

    @settings(max_examples=300, deadline=None)
    @given(members_for("js"))
    def test_we_read_what_it_sends(self, js: Peer, members: dict[str, str]) -> None:
        assert decode([js.ask(encode=members)["header"]]) == (members, {})

    def test_we_read_headers_as_it_does(self, js: Peer) -> None:
        for headers in HEADERS:
            if headers != ["a="]:
                assert decode(headers)[0] == js.ask(decode=headers)["members"]


HEADERS = [
    ["a=1,b=2"],
    ["a=1", "b=2"],
    ["a = 1 , b\t=\t2"],
    ["a=1;p=1;q,b=2;r"],
    ["a=1 ; p = 1"],
    ["a="],
    ["a=x=y"],
    ["a=x+y"],
    ["a=%C3%A9%20%2C"],
    ["a=1,a=2"],
    ["a=1;p,a=2"],
]
