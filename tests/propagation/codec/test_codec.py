"""
The wire form of baggage against https://www.w3.org/TR/baggage/.
"""

from __future__ import annotations

import string
import tracemalloc
from collections.abc import Iterable, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otelctx.core.reports import counts
from otelctx.propagation import codec
from otelctx.propagation.codec import MAX_BYTES, MAX_MEMBERS


def decode(headers: Iterable[str]) -> dict[str, str]:
    return codec.decode(headers)[0]


def encode(members: Mapping[str, str]) -> str:
    return codec.encode(members)[0]


TOKEN = string.ascii_letters + string.digits + "!#$%&'*+-.^_`|~"
KEYS = st.text(TOKEN, min_size=1, max_size=20)
MEMBERS = st.dictionaries(KEYS, st.text(st.characters(exclude_categories=["Cs"]), max_size=20), max_size=20)
BAGGAGE_OCTETS = {*range(0x21, 0x7F)} - set(b'",;\\')


class TestRoundTrip:
    """What is encoded within the limits is decoded to the same."""

    @given(MEMBERS)
    def test_any_text_survives(self, members: dict[str, str]) -> None:
        assert decode([encode(members)]) == members

    @given(MEMBERS)
    def test_the_header_is_made_of_what_the_grammar_allows(self, members: dict[str, str]) -> None:
        header = encode(members)
        for member in filter(None, header.split(",")):
            key, _, value = member.partition("=")
            assert set(key) <= set(TOKEN)
            assert set(value.encode("ascii")) <= BAGGAGE_OCTETS

    @given(st.lists(MEMBERS, max_size=4))
    def test_several_headers_are_one_list(self, several: list[dict[str, str]]) -> None:
        merged = {key: text for members in several for key, text in members.items()}
        headers = [encode(members) for members in several]
        if len(merged) <= MAX_MEMBERS and sum(map(len, headers)) + len(headers) <= MAX_BYTES:
            assert decode(headers) == merged == decode([",".join(filter(None, headers))])


class TestEncode:
    """Percent-encoding only, within 64 members and 8,192 bytes."""

    @pytest.mark.parametrize(
        ("text", "encoded"),
        [
            ("a+b", "a+b"),
            ("a b", "a%20b"),
            ("100%", "100%25"),
            ('a,b;c\\d"e', "a%2Cb%3Bc%5Cd%22e"),
            ("a=b", "a=b"),
            ("é", "%C3%A9"),
            ("😀", "%F0%9F%98%80"),
            ("\r\n", "%0D%0A"),
            ("\0\x7f", "%00%7F"),
            ("", ""),
            ("\ud800", "?"),
        ],
    )
    def test_of_a_text(self, text: str, encoded: str) -> None:
        assert encode({"k": text}) == f"k={encoded}"

    def test_no_members_are_an_empty_text(self) -> None:
        assert encode({}) == ""

    @pytest.mark.parametrize("key", ["a b", "", "é", "a,b", "a=b", "a\r\nx", 'a"'])
    def test_a_key_that_is_no_token_is_left_out(self, key: str) -> None:
        assert encode({key: "x", "fine": "y"}) == "fine=y"
        assert counts() == {"baggage.bad_key": 1}

    def test_over_64_members_are_left_out(self) -> None:
        header, left_out = codec.encode({f"k{number}": "v" for number in range(65)})
        assert len(header.split(",")) == 64
        assert header.endswith(",otelctx-dropped=2")
        assert left_out == ["k63", "k64"]
        assert counts() == {"baggage.left_out": 2}

    def test_exactly_the_limits_fit(self) -> None:
        assert len(encode({f"k{number}": "v" for number in range(64)}).split(",")) == 64
        assert len(encode({"k": "v" * (MAX_BYTES - 2)})) == MAX_BYTES
        assert counts() == {}

    def test_one_byte_over_leaves_out_the_whole_member(self) -> None:
        assert encode({"k": "v" * (MAX_BYTES - 1), "small": "1"}) == "small=1,otelctx-dropped=1"

    def test_the_last_members_are_left_out_first(self) -> None:
        members = {"first": "f" * 4000, "second": "s" * 4000, "third": "t" * 4000, "small": ""}
        header, left_out = codec.encode(members)
        assert [member[:6] for member in header.split(",")] == ["first=", "second", "small=", "otelct"]
        assert left_out == ["third"]


class TestDecode:
    """A bad member is left out alone, whatever it is."""

    @pytest.mark.parametrize(
        ("header", "members"),
        [
            ("", {}),
            ("k=v", {"k": "v"}),
            (" k = v ", {"k": "v"}),
            ("\tk\t=\tv\t,\ta=b", {"k": "v", "a": "b"}),
            ("k=v;p", {"k": "v"}),
            ("k=v;p=1;q=2", {"k": "v"}),
            ("k=v ; p = 1", {"k": "v"}),
            ("k=", {"k": ""}),
            ("k=a=b", {"k": "a=b"}),
            ("k=a+b", {"k": "a+b"}),
            ("k=a%20b", {"k": "a b"}),
            ("k=%C3%A9", {"k": "é"}),
            ("k=%ff", {"k": "\ufffd"}),
            ("k=%zz", {"k": "%zz"}),
            ("k=%", {"k": "%"}),
            ("k=%%41", {"k": "%A"}),
            ("k=%4%41", {"k": "%4A"}),
            ("k==%3D%3d,a=%41", {"k": "===", "a": "A"}),
            ("k=%00,a=%41", {"k": "\0", "a": "A"}),
            ("k=%E2%82,a=%AC%41", {"k": "\ufffd", "a": "\ufffdA"}),
            ("k%20=v", {"k%20": "v"}),
            (",,,k=v,,", {"k": "v"}),
            ("k=1,k=2", {"k": "2"}),
            ("k", {}),
            ("=v", {}),
            ("k;p=v", {}),
            ("k=a b", {}),
            ('k="v"', {}),
            ("k=a\\b", {}),
            ("k=é", {}),
            ("é=v", {}),
            ("k=a\r\nb", {}),
            ("k=\0", {}),
            ("good=1,bad value=2,fine=3", {"good": "1", "fine": "3"}),
        ],
    )
    def test_of_a_header(self, header: str, members: dict[str, str]) -> None:
        assert decode([header]) == members

    def test_the_limits_hold_over_all_headers_together(self) -> None:
        assert len(decode([f"k{number}=v" for number in range(100)])) == 64
        assert counts() == {"baggage.too_many_members": 1}
        assert len(decode([f"k{number}=" + "v" * 4000 for number in range(3)])) == 2
        assert counts()["baggage.too_long"] == 1

    def test_what_is_cut_is_never_half_a_member(self) -> None:
        header = "a=" + "1" * 5000 + ",b=" + "2" * 5000
        assert decode([header]) == {"a": "1" * 5000}
        assert decode(["a=" + "1" * 9000]) == {}

    @given(st.lists(st.text(max_size=50), max_size=20))
    def test_any_text_is_decoded_to_something_that_can_be_sent(self, headers: list[str]) -> None:
        members = decode(headers)
        assert decode([encode(members)]) == members

    @pytest.mark.parametrize(
        "headers",
        [
            ["," * 2**20],
            ["k=v" + ";" * 2**20],
            ["k=v" + ";p=1" * 2**18],
            ["k=" + "%" * 2**20],
            ["k=" + "%41" * 2**18],
            [" \t" * 2**19],
            ["k" + " " * 2**20 + "=v"],
            ["k=v;p=" + "\t" * 2**20 + '"'],
            ["a b," * 2**18],
            ["=" * 2**20],
            ["k=" + "é" * 2**20],
            ["k=" + "\udcff" * 2**20],
            ["k=v"] * 2**18,
            [",".join(f"k{number}=v" for number in range(2**16))] * 64,
        ],
        ids=lambda headers: f"{headers[0][:8]!a} {len(headers)}",
    )
    def test_what_is_huge_takes_little_memory(self, headers: list[str]) -> None:
        tracemalloc.start()
        try:
            members, properties = codec.decode(headers)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert len(members) <= MAX_MEMBERS
        assert sum(map(len, [*members, *members.values(), *properties.values()])) <= MAX_BYTES
        assert peak < 2**20

    def test_a_flood_costs_no_more_than_the_limit(self) -> None:
        """Counted, not timed: nothing after the limit is even asked for."""
        asked = 0

        def flood() -> object:
            nonlocal asked
            for _ in range(10**6):
                asked += 1
                yield "k=v" * 100

        decode(flood())  # type: ignore[arg-type]
        assert asked <= MAX_BYTES // 300 + 2
        asked = 0
        decode("" for _ in range(10**6) if (asked := asked + 1))
        assert asked <= MAX_BYTES + 2
