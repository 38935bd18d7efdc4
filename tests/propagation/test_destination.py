"""Destinations: one normal form for each, and none at all where two parsers could disagree."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from otelctx.errors import DestinationError
from otelctx.propagation.destination import Destination, address_of, destination, is_own, known, parse, parse_host

NORMAL = {
    "http://orders": ("http", "orders", 80),
    "https://api.example.com/x?y#z": ("https", "api.example.com", 443),
    "HTTPS://API.Example.COM": ("https", "api.example.com", 443),
    "http://example.com./": ("http", "example.com", 80),
    "http://example.com:8443": ("http", "example.com", 8443),
    "http://example.com:": ("http", "example.com", 80),
    "ws://example.com": ("ws", "example.com", 80),
    "wss://example.com": ("wss", "example.com", 443),
    "grpc://example.com:50051": ("grpc", "example.com", 50051),
    "grpc://example.com": ("grpc", "example.com", None),
    "http://trusted.example@evil.example/": ("http", "evil.example", 80),
    "http://trusted.example:80@evil.example/": ("http", "evil.example", 80),
    "http://evil.example/trusted.example": ("http", "evil.example", 80),
    "http://evil.example?@trusted.example": ("http", "evil.example", 80),
    "http://evil.example#@trusted.example": ("http", "evil.example", 80),
    "http://trusted.example.evil.example": ("http", "trusted.example.evil.example", 80),
    "http://my_service:80": ("http", "my_service", 80),
    "http://bücher.example": ("http", "xn--bcher-kva.example", 80),
    "http://BÜCHER.example.": ("http", "xn--bcher-kva.example", 80),
    "http://xn--BCHER-kva.example": ("http", "xn--bcher-kva.example", 80),
    "http://bücher。example": ("http", "xn--bcher-kva.example", 80),  # U+3002, a dot of RFC 3490
    "http://127.0.0.1": ("http", "127.0.0.1", 80),
    "http://[::1]:8000/": ("http", "::1", 8000),
    "http://[0:0:0:0:0:0:0:1]": ("http", "::1", 80),
    "http://[::ffff:10.0.0.1]": ("http", "10.0.0.1", 80),
    "http://[::FFFF:a00:1]": ("http", "10.0.0.1", 80),
    "http://[fe80::1%25eth0]/": ("http", "fe80::1", 80),
    "http://[fe80::1%eth0]/": ("http", "fe80::1", 80),
    "kafka://Orders.v1": ("kafka", "Orders.v1", None),
    "amqp://events": ("amqp", "events", None),
    "process://python3.11": ("process", "python3.11", None),
    "unix:///run/app.sock": ("unix", "/run/app.sock", None),
}  # fmt: skip

NONE = [
    "",
    "example.com",
    "//example.com",
    "/path",
    "http:",
    "http://",
    "http:///path",
    "http://@/",
    "http://:80",
    "http://.",
    "http://..",
    "http://.example.com",
    "http://example..com",
    "http:example.com",
    "http:\\\\example.com",
    "http://trusted.example\\@evil.example",
    "http://evil.example\\.trusted.example",
    "http://evil.example\\/trusted.example",
    "http://trusted.example@evil.example@trusted.example",
    "http://ev il.example",
    "http://evil.example .trusted.example",
    " http://example.com",
    "http://exam\tple.com",
    "http://example.com\r\nx: y",
    "http://example.com/\n",
    "http://exa\x00mple.com",
    "http://\u00a0example.com",
    "http://example.com:port",
    "http://example.com:-1",
    "http://example.com:65536",
    "http://example.com:80:80",
    "http://exam%70le.com",
    "http://%31%32%37.0.0.1",
    "http://example,com",
    "http://exa*mple.com",
    "http://*",
    "http://2130706433",
    "http://0x7f.1",
    "http://0x7f000001",
    "http://017700000001",
    "http://127.1",
    "http://127.0.0.01",
    "http://127.0.0.1.1",
    "http://127.0.0.0x1",
    "http://1.2.3.256",
    "http://example.0x",
    "http://\uff11\uff12\uff17.0.0.1",  # full-width digits
    "http://\uff11\uff12\uff17.1",
    "http://::1",
    "http://[::1",
    "http://[::1]evil.example",
    "http://[v1.x]",
    "http://[example.com]",
    "http://[127.0.0.1]",
    "http://stra\u00dfe.example",
    "http://a\u200db.example",
    "http://evil.c\u2100.example",  # NFKC makes it "a/c"
    "http://evil\uff0fexample",
    "http://" + "a" * 64 + ".example",
    "http://" + "a." * 130 + "example",
    "http://" + "ü" * 300,
    "http://\ud800.example",
    "1http://example.com",
    "kafka://",
    "kafka://a b",
    "kafka://a\x00",
]


class TestParse:
    """The destination of a URL, or an error that says why there is none."""

    @pytest.mark.parametrize(("url", "expected"), NORMAL.items(), ids=ascii)
    def test_what_is_clear_has_one_form(self, url: str, expected: tuple[str, str, int | None]) -> None:
        assert parse(url)[:3] == expected

    @pytest.mark.parametrize("url", NONE, ids=ascii)
    def test_what_is_not_clear_is_no_destination(self, url: str) -> None:
        with pytest.raises(DestinationError) as raised:
            parse(url)
        assert raised.value.args[0].isascii()

    @pytest.mark.parametrize("url", NORMAL, ids=ascii)
    def test_its_text_leads_to_the_same_place(self, url: str) -> None:
        found = parse(url)
        assert parse(str(found)) == found

    @given(st.text() | st.from_regex(r"https?://[^/?#]{0,40}.{0,10}"))
    @example("http://[")
    def test_any_text_gives_a_normal_form_or_that_error(self, url: str) -> None:
        try:
            found = parse(url)
        except DestinationError:
            return
        assert found.host
        assert parse(str(found)) == found

    HOST = st.from_regex(r"[a-z]([a-z0-9-]{0,20}[a-z0-9])?(\.[a-z][a-z0-9]{0,10}){0,3}", fullmatch=True)

    @given(
        HOST, HOST, st.text(st.characters(codec="ascii", exclude_characters="/?#@\\[]", min_codepoint=33), max_size=9)
    )
    def test_nothing_but_the_host_counts(self, host: str, other: str, noise: str) -> None:
        """Neither userinfo, nor path, query and fragment, whatever host they spell."""
        urls = [f"http://{host}/{noise}@{other}", f"http://{host}?{other}", f"http://{host}#{noise}@{other}"]
        urls.append(f"http://{other}{noise}@{host}:8080/")
        for url in urls:
            if "\x7f" not in url:
                assert parse(url).host == host

    @given(HOST, st.sampled_from(["", "."]), st.integers(0, 65535))
    def test_case_and_a_final_dot_do_not_count(self, host: str, dot: str, port: int) -> None:
        assert parse(f"HTTP://{host.upper()}{dot}:{port}") == Destination("http", host, port)

    @given(st.ip_addresses())
    def test_addresses_in_every_form_are_the_same_address(self, address: IPv4Address | IPv6Address) -> None:
        forms = [str(address)]
        if isinstance(address, IPv4Address):
            forms += [f"[::ffff:{address}]", f"[{IPv6Address(0xFFFF << 32 | int(address)).exploded}]"]
        else:
            forms = [f"[{address}]", f"[{address.exploded.upper()}]", f"[{address}%25eth0]"]
        expected = getattr(address, "ipv4_mapped", None) or address
        for form in forms:
            assert parse(f"http://{form}:1/").address == expected

    @given(st.text(st.characters(codec="ascii"), max_size=30))
    def test_a_host_is_what_the_standard_library_connects_to(self, text: str) -> None:
        """Where we are sure, `urlsplit`, on which urllib and others rely, agrees."""
        url = f"http://{text}"
        try:
            found = parse(url)
        except DestinationError:
            return
        theirs = (urlsplit(url).hostname or "").partition("%")[0].removesuffix(".")
        assert found.host == theirs or found.address == address_of(theirs)


class TestDestination:
    """The same from parts that a client has parsed."""

    @pytest.mark.parametrize("host", ["::1", "[::1]", "0::1", "::1%lo"])
    def test_brackets_of_an_address_do_not_count(self, host: str) -> None:
        assert destination("http", host) == Destination("http", "::1", 80, IPv6Address("::1"))

    @pytest.mark.parametrize("host", ["", "a:80", "a/b", "user@host", "2130706433", "a b"])
    def test_what_is_not_clear_is_not_known(self, host: str) -> None:
        assert known("http", host) is None


class TestParseHost:
    """A host alone, as rules and peers are written."""

    def test_a_name_and_an_address(self) -> None:
        assert parse_host("API.example.") == ("api.example", None)
        assert parse_host("::ffff:127.0.0.1") == ("127.0.0.1", IPv4Address("127.0.0.1"))


class TestIsOwn:
    """Loopback and private networks, and nothing else that Python calls private."""

    @pytest.mark.parametrize(
        "text", ["127.0.0.1", "127.255.0.1", "10.0.0.1", "172.31.0.1", "192.168.1.1", "::1", "fd00::1"]
    )
    def test_own(self, text: str) -> None:
        assert is_own(ip_address(text))

    @pytest.mark.parametrize(
        "text",
        [
            "8.8.8.8",
            "172.32.0.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "192.0.2.1",
            "fe80::1",
            "2001:db8::1",
            "::",
        ],
    )
    def test_others(self, text: str) -> None:
        assert not is_own(ip_address(text))

    def test_an_ipv4_mapped_address_is_judged_as_ipv4(self) -> None:
        mapped = address_of("::ffff:8.8.8.8")
        assert mapped is not None
        assert not is_own(mapped)
