"""The seal: what it covers, for how long, and what is said when it is broken."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otelctx import Field, declare, request
from otelctx.core.reports import counts
from otelctx.core.state import current_layer
from otelctx.propagation import codec
from otelctx.propagation.seal import Sealer
from otelctx.propagation.sealing import SEAL, Broken, Reason, Sealed

KEY, OTHER = b"k" * 32, b"o" * 32
NOW = 1_700_000_000
MEMBERS = {"request_id": "r-1", "user_id": "alice", "colour": "light blue"}

both_kinds = pytest.mark.parametrize("encrypts", [False, True], ids=["signed", "encrypted"])


def sealer(*secrets: bytes, at: float = NOW, hop: str = "shop", **options: Any) -> Sealer:
    return Sealer(secrets or (KEY,), hop, clock=lambda: at, **options)


def sent(by: Sealer, members: dict[str, str] | None = None, properties: Any = None) -> str:
    header, left_out = by.encode(MEMBERS if members is None else members, properties, "request_id")
    assert left_out == ()
    return header


def read(header: str | list[str], by: Sealer) -> Sealed | Broken:
    return by.opened(*codec.decode([header] if isinstance(header, str) else header))


@both_kinds
class TestValid:
    def test_it_opens_to_what_was_sealed_and_by_whom(self, encrypts: bool) -> None:
        header = sent(sealer(encrypts=encrypts))
        assert read(header, sealer(encrypts=encrypts)) == Sealed(MEMBERS, {}, "shop")

    def test_it_covers_properties(self, encrypts: bool) -> None:
        header = sent(sealer(encrypts=encrypts), properties={"user_id": ("alice", ";vip")})
        assert read(header, sealer(encrypts=encrypts)) == Sealed(MEMBERS, {"user_id": ";vip"}, "shop")

    @given(members=st.dictionaries(st.from_regex("[a-z!#$]{1,8}", fullmatch=True), st.text(max_size=50), max_size=20))
    def test_any_members_come_back(self, members: dict[str, str], encrypts: bool) -> None:
        members["request_id"] = "r"
        header = sent(sealer(encrypts=encrypts), members)
        assert codec.decode([header])[0].keys() >= {"request_id", SEAL}
        opened = read(header, sealer(encrypts=encrypts))
        assert isinstance(opened, Sealed)
        assert opened.members == {key: text.encode(errors="replace").decode() for key, text in members.items()}

    def test_who_passes_it_on_may_write_it_otherwise(self, encrypts: bool) -> None:
        parts = sent(sealer(encrypts=encrypts)).split(",")
        assert read([" , ".join(reversed(parts))], sealer(encrypts=encrypts)) == Sealed(MEMBERS, {}, "shop")
        assert read(parts, sealer(encrypts=encrypts)) == Sealed(MEMBERS, {}, "shop")

    def test_it_may_come_again_within_its_time(self, encrypts: bool) -> None:
        header, receiver = sent(sealer(encrypts=encrypts)), sealer(encrypts=encrypts)
        assert read(header, receiver) == read(header, receiver)

    def test_one_that_came_in_is_replaced(self, encrypts: bool) -> None:
        header = sent(sealer(encrypts=encrypts), {**MEMBERS, SEAL: "of.s.somebody.else"})
        assert read(header, sealer(encrypts=encrypts)) == Sealed(MEMBERS, {}, "shop")


class TestEncrypted:
    def test_only_the_request_id_can_be_read(self) -> None:
        members, _ = codec.decode([sent(sealer(encrypts=True))])
        assert members.keys() == {"request_id", SEAL}
        assert "alice" not in repr(members)

    def test_who_encrypts_accepts_what_is_signed_only(self) -> None:
        assert read(sent(sealer()), sealer(encrypts=True)) == Sealed(MEMBERS, {}, "shop")

    def test_who_only_signs_cannot_read_it(self) -> None:
        assert read(sent(sealer(encrypts=True)), sealer()) == Broken(Reason.UNKNOWN_FORM, "shop", is_proven=True)


@both_kinds
class TestTampering:
    @settings(max_examples=400)
    @given(data=st.data())
    def test_no_byte_can_be_changed_to_have_other_fields_believed(self, data: st.DataObject, encrypts: bool) -> None:
        header = sent(sealer(encrypts=encrypts))
        at = data.draw(st.integers(0, len(header) - 1))
        byte = data.draw(st.integers(0x20, 0x7E).map(chr).filter(lambda byte: byte != header[at]))
        opened = read(header[:at] + byte + header[at + 1 :], sealer(encrypts=encrypts))
        # Base64 has bits that mean nothing, and whitespace around members does; then it says what it said.
        assert isinstance(opened, Broken) or opened == Sealed(MEMBERS, {}, "shop")

    def test_nor_can_a_region_of_it(self, encrypts: bool) -> None:
        header = sent(sealer(encrypts=encrypts))
        token = codec.decode([header])[0][SEAL]
        for number, region in enumerate(token.split(".")):
            other = "x" * len(region) if region != "x" else "y"
            changed = ".".join([*token.split(".")[:number], other, *token.split(".")[number + 1 :]])
            opened = read(header.replace(token, changed), sealer(encrypts=encrypts))
            assert isinstance(opened, Broken)
            assert (opened.reason, opened.is_proven) == (Reason.WRONG_KEY, False)

    @pytest.mark.parametrize(
        "change",
        [
            lambda header: header.replace("request_id=r-1", "request_id=r-2"),
            lambda header: header.replace("request_id=r-1,", ""),
            lambda header: f"{header},admin=true",
            lambda header: f"{header},request_id=r-2",
        ],
        ids=["changed", "left out", "added", "added twice"],
    )
    def test_a_member_beside_it_is_an_altered_field(self, change: Callable[[str], str], encrypts: bool) -> None:
        header = sent(sealer(encrypts=encrypts))
        opened = read(change(header), sealer(encrypts=encrypts))
        if encrypts and "request_id" not in change(header):
            assert opened == Sealed(MEMBERS, {}, "shop")  # it is inside as well
        else:
            assert opened == Broken(Reason.ALTERED, "shop", is_proven=True)

    def test_the_seal_of_another_request_does_not_fit(self, encrypts: bool) -> None:
        token = codec.decode([sent(sealer(encrypts=encrypts))])[0][SEAL]
        other = sent(sealer(encrypts=encrypts), {**MEMBERS, "request_id": "r-2"})
        foreign = other.replace(codec.decode([other])[0][SEAL], token)
        assert read(foreign, sealer(encrypts=encrypts)) == Broken(Reason.ALTERED, "shop", is_proven=True)

    @given(token=st.text(max_size=200) | st.from_regex(r"[a-z]{0,5}\.[se]\.[\w-]{0,99}\.[\w-]{0,9}\.[\w-]{0,50}"))
    def test_anything_in_its_place_is_refused(self, token: str, encrypts: bool) -> None:
        opened = sealer(encrypts=encrypts).opened({**MEMBERS, SEAL: token}, {})
        assert isinstance(opened, Broken)
        assert not opened.is_proven


@both_kinds
class TestBroken:
    def test_none(self, encrypts: bool) -> None:
        assert sealer(encrypts=encrypts).opened(MEMBERS, {}) == Broken(Reason.MISSING)

    def test_of_another_key(self, encrypts: bool) -> None:
        header = sent(sealer(OTHER, encrypts=encrypts))
        assert read(header, sealer(encrypts=encrypts)) == Broken(Reason.WRONG_KEY, "shop")

    @pytest.mark.parametrize(
        ("seconds", "accepted"), [(-31, False), (-30, True), (0, True), (100, True), (130, True), (131, False)]
    )
    def test_out_of_its_time(self, seconds: int, accepted: bool, encrypts: bool) -> None:
        header = sent(sealer(encrypts=encrypts))
        opened = read(header, sealer(at=NOW + seconds, encrypts=encrypts, max_age=100, leeway=30))
        expected = Sealed(MEMBERS, {}, "shop") if accepted else Broken(Reason.EXPIRED, "shop", is_proven=True)
        assert opened == expected

    def test_a_name_that_is_none_is_not_told(self, encrypts: bool) -> None:
        token = "<script>." + codec.decode([sent(sealer(encrypts=encrypts))])[0][SEAL].partition(".")[2]
        assert sealer(encrypts=encrypts).opened({**MEMBERS, SEAL: token}, {}) == Broken(Reason.WRONG_KEY)


@both_kinds
class TestRotation:
    def test_old_seals_are_accepted_and_new_ones_made_with_the_new_key(self, encrypts: bool) -> None:
        both = sealer(OTHER, KEY, encrypts=encrypts)
        assert read(sent(sealer(KEY, encrypts=encrypts)), both) == Sealed(MEMBERS, {}, "shop")
        assert read(sent(both), sealer(OTHER, encrypts=encrypts)) == Sealed(MEMBERS, {}, "shop")
        assert read(sent(both), sealer(KEY, encrypts=encrypts)) == Broken(Reason.WRONG_KEY, "shop")


class TestHop:
    @pytest.mark.parametrize(
        ("name", "shown"), [("shop", "shop"), ("my shop.eu/1", "my-shop-eu-1"), ("Ä", "-"), ("", "unknown")]
    )
    def test_it_is_a_name_without_what_would_need_an_encoding(self, name: str, shown: str) -> None:
        opened = read(sent(sealer(hop=name)), sealer())
        assert isinstance(opened, Sealed)
        assert opened.hop == shown

    def test_it_is_short(self) -> None:
        assert len(sealer(hop="x" * 1000).hop) == 64


@both_kinds
class TestSize:
    @settings(max_examples=50)
    @given(size=st.integers(7000, 9000), count=st.integers(1, 80), hop=st.text("ab", min_size=1, max_size=64))
    def test_it_always_fits_and_covers_what_stays(self, size: int, count: int, hop: str, encrypts: bool) -> None:
        members = {"request_id": "r", **{f"m{number}": "x" * (size // count) for number in range(count)}}
        header, left_out = sealer(encrypts=encrypts, hop=hop).encode(members, None, "request_id")
        assert len(header) <= codec.MAX_BYTES
        assert len(header.split(",")) <= codec.MAX_MEMBERS
        opened = read(header, sealer(encrypts=encrypts))
        assert isinstance(opened, Sealed)
        kept = {key: text for key, text in members.items() if key not in left_out}
        dropped = {codec.DROPPED: str(len(left_out))} if left_out else {}
        assert opened.members == {**kept, **dropped}

    def test_no_byte_of_room_is_wasted(self, encrypts: bool) -> None:
        fits = [
            size
            for size in range(5500, 8192)
            if not sealer(encrypts=encrypts).encode({"request_id": "r", "m": "x" * size}, None, "request_id")[1]
        ]
        header, _ = sealer(encrypts=encrypts).encode({"request_id": "r", "m": "x" * fits[-1]}, None, "request_id")
        assert fits == [*range(5500, fits[-1] + 1)]
        assert codec.MAX_BYTES - len(header) < (32 if encrypts else 1)

    def test_fields_of_lower_priority_are_left_out_first(self, encrypts: bool) -> None:
        declare(Field("low", remote=True, max_length=9000), Field("high", remote=True, max_length=9000, priority=5))
        with request(request_id="r", low="l" * 5000, high="h" * 5000):
            layer = current_layer()
            assert layer is not None
            header, left_out = sealer(encrypts=encrypts).encode(layer.wire(), None, "request_id")
        opened = read(header, sealer(encrypts=encrypts))
        assert list(left_out) == ["low"]
        assert isinstance(opened, Sealed)
        assert opened.members == {"request_id": "r", "high": "h" * 5000, codec.DROPPED: "1"}


class TestWithoutARequest:
    def test_fields_without_a_request_id_have_no_seal(self) -> None:
        assert sealer().encode({"user_id": "alice"}, None, "request_id") == ("user_id=alice", ())
        assert counts()["seal.no_request_id"] == 1

    def test_and_are_not_sent_in_the_clear_when_they_are_to_be_encrypted(self) -> None:
        assert sealer(encrypts=True).encode({"user_id": "alice"}, None, "request_id") == ("", ("user_id",))
        assert counts()["seal.no_request_id"] == 1

    def test_nothing_has_none_either(self) -> None:
        assert sealer().encode({}, None, "request_id") == ("", ())
        assert "seal.no_request_id" not in counts()
