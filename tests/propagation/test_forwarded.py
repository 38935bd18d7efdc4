"""
Forwarded headers: they lower trust, and raise it only where a trusted proxy has written them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otelctx.integrations.asgi.headers import Headers
from otelctx.propagation.carriers import headers_in
from otelctx.propagation.forwarded import HEADERS, MAX_HOPS, MAX_LENGTH, hops
from otelctx.propagation.ingress import EVERYTHING, STRANGER, Ingress, Rule, Trust, believed, replace
from otelctx.propagation.peers import UNKNOWN, Context, Peers, peer_at, scope_peer

OUTSIDE = "203.0.113.5"


def trust(peer: str, *headers: tuple[str, str], proxies: Sequence[str] | None = None) -> Trust:
    replace(Ingress(trusted_proxies=None if proxies is None else Peers(proxies)))
    scope: dict[str, Any] = {
        "client": (peer, 1),
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in headers],
    }
    return trust_in(scope)


def trust_in(scope: dict[str, Any]) -> Trust:
    return believed(scope, Context(), scope_peer, headers_in(scope, Headers(scope), with_forwarded=True))


class TestParsing:
    """RFC 7239, and what proxies write for want of it."""

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("for=192.0.2.60;proto=http;by=203.0.113.43", ["192.0.2.60"]),
            ('For="[2001:db8:cafe::17]:4711"', ["2001:db8:cafe::17"]),
            ("for=192.0.2.43, for=198.51.100.17", ["192.0.2.43", "198.51.100.17"]),
            ('for=192.0.2.43,for="[2001:db8:cafe::17]",for=unknown', ["192.0.2.43", "2001:db8:cafe::17", None]),
            ('for=_gazonk, for="_SEVKISEK"', [None, None]),
            ('for="192.0.2.43:47011"', ["192.0.2.43"]),
            ("for=192.0.2.43:47011", ["192.0.2.43"]),
            ('by=10.0.0.1;FOR="10.0.0.2" ; host="a,b;c=\\"d" , for=10.0.0.3', ["10.0.0.2", "10.0.0.3"]),
            ('for="1\\0.0.0.1"', ["10.0.0.1"]),
            ('for="::ffff:10.0.0.1"', ["10.0.0.1"]),
            ("proto=https", [None]),
            ("", [None]),
            (",", [None, None]),
            ("for=10.0.0.1;for=10.0.0.2", [None]),
            ('for="10.0.0.1', [None]),
            ("for", [None]),
            ("for=10.0.0.1 junk", [None]),
            ("for=10.0.0.1;;proto=http", ["10.0.0.1"]),
        ],
    )
    def test_forwarded(self, text: str, expected: list[str | None]) -> None:
        assert hops("forwarded", [text]) == [peer_at(name) for name in expected]

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("10.0.0.1", ["10.0.0.1"]),
            ("203.0.113.5,10.0.0.1 ,\t10.0.0.2", ["203.0.113.5", "10.0.0.1", "10.0.0.2"]),
            ("203.0.113.5:4711, [2001:db8::1]:80, 2001:db8::2", ["203.0.113.5", "2001:db8::1", "2001:db8::2"]),
            ("", [None]),
            ("unknown", [None]),
            ("unix", [None]),
            ("localhost", [None]),
            ("kafka://orders", [None]),
            ("10.0.0.1 10.0.0.2", [None]),
            ("10.0.0.1\r\n", [None]),
            ("10.0.0.1:port", [None]),
            ("[10.0.0.1", [None]),
            ("010.0.0.1", [None]),
        ],
    )
    def test_x_forwarded_for(self, text: str, expected: list[str | None]) -> None:
        assert hops("x-forwarded-for", [text]) == [peer_at(name) for name in expected]

    def test_repeated_headers_are_one(self) -> None:
        assert hops("x-forwarded-for", ["10.0.0.1", "10.0.0.2"]) == hops("x-forwarded-for", ["10.0.0.1,10.0.0.2"])
        assert hops("forwarded", ["for=10.0.0.1", "for=10.0.0.2"]) == hops("forwarded", ["for=10.0.0.1,for=10.0.0.2"])

    @pytest.mark.parametrize("header", HEADERS)
    def test_what_is_too_long_names_nobody(self, header: str) -> None:
        assert hops(header, ["10.0.0.1," * MAX_HOPS]) == [UNKNOWN]
        assert hops(header, ["10.0.0.1" + " " * MAX_LENGTH]) == [UNKNOWN]
        assert hops(header, ["10.0.0.1"] * 100_000) == [UNKNOWN]

    @given(st.sampled_from(HEADERS), st.lists(st.text(), max_size=3))
    def test_no_text_raises(self, header: str, values: list[str]) -> None:
        assert len(hops(header, values)) <= MAX_HOPS

    @pytest.mark.parametrize("text", ['for="' + "\\" * 2000, "for=" * 500, ";" * 2000, '"' * 2000, 'a="\\"' * 400])
    def test_hostile_texts_come_to_an_end_and_name_nobody(self, text: str) -> None:
        assert set(hops("forwarded", [text])) == {UNKNOWN}


class TestWithoutTrustedProxies:
    """A forwarded header can only lower trust: all whom it names must be trusted, and so must the peer."""

    @pytest.mark.parametrize("header", HEADERS)
    def test_a_proxy_on_a_private_address_does_not_make_the_internet_trusted(self, header: str) -> None:
        name = "for=%s" if header == "forwarded" else "%s"
        assert trust("127.0.0.1") == EVERYTHING
        assert trust("127.0.0.1", (header, name % OUTSIDE)) == STRANGER
        assert trust("127.0.0.1", (header, name % "10.0.0.7")) == EVERYTHING

    @pytest.mark.parametrize("chain", [f"{OUTSIDE}, 10.0.0.1", f"10.0.0.1, {OUTSIDE}", f"10.0.0.1,{OUTSIDE},10.0.0.2"])
    def test_each_hop_counts(self, chain: str) -> None:
        assert trust("10.0.0.9", ("x-forwarded-for", chain)) == STRANGER
        assert trust("10.0.0.9", ("x-forwarded-for", "10.0.0.1"), ("x-forwarded-for", chain)) == STRANGER

    @pytest.mark.parametrize("text", ["", "unknown", "_hidden", "unix", "garbage", "10.0.0.1," * 50, "localhost"])
    def test_garbage_is_a_stranger(self, text: str) -> None:
        assert trust("127.0.0.1", ("x-forwarded-for", text)) == STRANGER
        assert trust("127.0.0.1", ("forwarded", f'for="{text}"')) == STRANGER

    def test_of_several_headers_the_lower_trust_counts(self) -> None:
        inside, outside = ("x-forwarded-for", "10.0.0.1"), ("forwarded", f"for={OUTSIDE}")
        assert trust("127.0.0.1", inside, outside) == STRANGER
        assert trust("127.0.0.1", ("x-forwarded-for", OUTSIDE), ("forwarded", "for=10.0.0.1")) == STRANGER
        assert trust("127.0.0.1", ("x-real-ip", OUTSIDE), inside) == STRANGER

    @pytest.mark.parametrize("header", ["x-forwarded-for", "forwarded", "x-real-ip"])
    def test_nobody_outside_gets_trusted_by_naming_somebody_inside(self, header: str) -> None:
        for name in ("127.0.0.1", "for=127.0.0.1", "unix", "10.0.0.1, 127.0.0.1"):
            assert trust(OUTSIDE, (header, name)) == STRANGER

    def test_where_uvicorn_has_put_the_client_in_the_place_of_the_proxy(self) -> None:
        assert trust(OUTSIDE, ("x-forwarded-for", OUTSIDE)) == STRANGER
        assert trust("10.0.0.7", ("x-forwarded-for", "10.0.0.7")) == EVERYTHING
        # With --forwarded-allow-ips='*' the client is whatever the sender has written first.
        assert trust("10.0.0.7", ("x-forwarded-for", f"10.0.0.7, {OUTSIDE}")) == STRANGER


class TestWithTrustedProxies:
    """The nearest hop that is no trusted proxy is the peer, as in uvicorn and werkzeug."""

    def test_the_peer_is_whom_the_proxy_names(self) -> None:
        proxies = ["10.0.0.1", "10.0.1.0/24"]
        assert trust("10.0.0.1", ("x-forwarded-for", "10.9.9.9"), proxies=proxies) == EVERYTHING
        assert trust("10.0.0.1", ("x-forwarded-for", OUTSIDE), proxies=proxies) == STRANGER
        assert trust("10.0.0.1", ("x-forwarded-for", f"{OUTSIDE}, 10.0.1.7"), proxies=proxies) == STRANGER
        assert trust("10.0.0.1", ("x-forwarded-for", f"{OUTSIDE}, 10.9.9.9"), proxies=proxies) == EVERYTHING
        assert trust("10.0.0.1", ("forwarded", 'for="[fd00::1]"'), proxies=proxies) == EVERYTHING

    def test_what_a_client_has_written_itself_does_not_count(self) -> None:
        for forged in ("127.0.0.1", "10.0.0.1", "10.9.9.9", "10.0.0.1, 10.0.0.1", "unix"):
            sent = ("x-forwarded-for", f"{forged}, {OUTSIDE}")
            assert trust("10.0.0.1", sent, proxies=["10.0.0.1"]) == STRANGER

    def test_a_peer_that_is_no_trusted_proxy_is_the_peer(self) -> None:
        assert trust(OUTSIDE, ("x-forwarded-for", "10.0.0.1"), proxies=["10.0.0.1"]) == STRANGER
        assert trust("10.0.0.2", ("x-forwarded-for", OUTSIDE), proxies=["10.0.0.1"]) == EVERYTHING

    def test_where_all_are_trusted_proxies_it_is_the_outermost(self) -> None:
        assert trust("10.0.0.1", ("x-forwarded-for", "10.0.0.3, 10.0.0.2"), proxies=["10.0.0.0/8"]) == EVERYTHING
        assert trust("10.0.0.1", ("x-forwarded-for", f"{OUTSIDE}, 10.0.0.2"), proxies=["10.0.0.0/8"]) == STRANGER

    def test_a_header_that_the_proxy_passed_on_cannot_raise_trust(self) -> None:
        """It writes one of them; the others may be the client's."""
        for own in HEADERS:
            for forged in set(HEADERS) - {own}:
                written = (own, f"for={OUTSIDE}" if own == "forwarded" else OUTSIDE)
                passed = (forged, "for=10.0.0.1" if forged == "forwarded" else "10.0.0.1")
                assert trust("127.0.0.1", written, passed, proxies=["127.0.0.1"]) == STRANGER

    @pytest.mark.parametrize("text", ["", "unknown", "_hidden", "garbage", "10.0.0.1,garbage", "10.0.0.1," * 50])
    def test_garbage_is_a_stranger(self, text: str) -> None:
        assert trust("127.0.0.1", ("x-forwarded-for", text), proxies=["127.0.0.1"]) == STRANGER

    def test_where_uvicorn_has_put_the_client_in_the_place_of_the_proxy(self) -> None:
        proxies = ["127.0.0.1"]
        assert trust(OUTSIDE, ("x-forwarded-for", OUTSIDE), proxies=proxies) == STRANGER
        assert trust("10.9.9.9", ("x-forwarded-for", f"{OUTSIDE}, 10.9.9.9"), proxies=proxies) == EVERYTHING
        assert trust("10.9.9.9", ("x-forwarded-for", f"10.9.9.9, {OUTSIDE}"), proxies=proxies) == STRANGER
        assert trust(OUTSIDE, ("x-forwarded-for", f"{OUTSIDE}, 10.0.0.1"), proxies=proxies) == STRANGER

    def test_a_unix_socket_may_be_one(self) -> None:
        replace(Ingress([Rule(Peers(["unix"]), EVERYTHING)], trusted_proxies=Peers(["unix"])))
        scope: dict[str, Any] = {"client": None, "server": ("/run/s", None)}
        for address, expected in [(OUTSIDE, STRANGER), ("10.0.0.1", EVERYTHING)]:
            scope["headers"] = [(b"x-forwarded-for", address.encode())]
            assert (
                believed(scope, Context(), scope_peer, headers_in(scope, Headers(scope), with_forwarded=True))
                == expected
            )
