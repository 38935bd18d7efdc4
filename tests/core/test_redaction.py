"""What stands in a sink for a value: nothing, asterisks or a keyed hash."""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otelctx import Field, FieldError, bind, declare, request, set  # noqa: A004 - the verb's name is the interface
from otelctx.core.layers import Layer
from otelctx.core.redaction import MASK, HashKey, View, keys, use_keys
from otelctx.core.registry import registry
from otelctx.core.reports import counts
from otelctx.core.state import current_layer

NEW, OLD = b"n" * 32, b"o" * 32


def shown(field: Field, value: object) -> object:
    """Return what logs show of *value*."""
    declare(field)
    values = {field.name: value}
    registry().in_logs.redact(values)
    return values.get(field.name)


class TestDeclaration:
    def test_one_action_is_for_every_sink(self) -> None:
        field = Field("user_id", remote=True, redact="hash")
        assert [field.redaction(sink) for sink in ("logs", "spans", "metrics", "wire")] == ["hash"] * 4

    def test_a_sink_that_is_not_named_has_the_value(self) -> None:
        field = Field("user_id", remote=True, redact={"logs": "hash", "wire": "drop"})
        assert [field.redaction(sink) for sink in ("logs", "spans", "metrics", "wire")] == ["hash", None, None, "drop"]

    def test_it_can_be_hashed_as_before(self) -> None:
        assert len({Field("a", redact={"logs": "hash"}), Field("a", redact={"logs": "hash"})}) == 1

    @pytest.mark.parametrize(
        ("make", "problem"),
        [
            (lambda: Field("a", redact="hide"), "redact must be 'drop', 'mask' or 'hash', or a mapping"),  # type: ignore[arg-type]
            (lambda: Field("a", redact={"log": "drop"}), "of 'logs', 'spans', 'metrics' or 'wire'"),  # type: ignore[dict-item]
            (lambda: Field("a", redact={"logs": ["drop"]}), "redact must be"),  # type: ignore[dict-item]
            (lambda: Field("a", redact=5), "redact must be"),  # type: ignore[arg-type]
            (lambda: Field("a", redact={"wire": "mask"}), "add remote=True"),
            (lambda: Field("a", type=int, remote=True, redact="hash"), "no int field receives; drop it on the wire"),
            (lambda: Field("a", remote=True, max_length=45, redact="hash"), "a hash has 46 characters"),
        ],
    )
    def test_what_cannot_work_is_refused(self, make: Callable[[], Field], problem: str) -> None:
        with pytest.raises(FieldError, match=problem):
            make()

    def test_a_default_is_not_in_the_message_about_it(self) -> None:
        with pytest.raises(FieldError) as raised:
            Field("a", type=int, default="s3cret")
        assert "s3cret" not in str(raised.value)


class TestMask:
    @given(st.text(), st.text())
    def test_every_value_has_the_same(self, one: str, other: str) -> None:
        assert shown(Field("a", redact="mask"), one) == shown(Field("a", redact="mask"), other) == MASK


class TestHash:
    @pytest.fixture(autouse=True)
    def _keys(self) -> None:
        use_keys([NEW, OLD])

    def test_it_is_hmac_sha256_of_name_and_value(self) -> None:
        digits = hmac.new(NEW, b"user_id\0J\xc3\xbcrgen", "sha256").hexdigest()[:32]
        assert shown(Field("user_id", redact="hash"), "Jürgen") == f"hmac:{keys()[0].id}:{digits}"

    def test_numbers_hash_as_they_are_on_the_wire(self) -> None:
        assert shown(Field("n", type=int, redact="hash"), 5) == keys()[0].hash("n", "5")
        assert shown(Field("b", type=bool, redact="hash"), True) == keys()[0].hash("b", "true")

    def test_the_same_value_of_another_field_has_another(self) -> None:
        assert shown(Field("a", redact="hash"), "x") != shown(Field("b", redact="hash"), "x")

    def test_a_name_and_a_value_cannot_be_split_otherwise(self) -> None:
        assert HashKey(NEW).hash("ab", "c") != HashKey(NEW).hash("a", "bc")

    @given(st.text())
    def test_it_is_the_same_with_the_same_key_and_another_with_another(self, text: str) -> None:
        assert HashKey(NEW).hash("a", text) == HashKey(NEW).hash("a", text) != HashKey(OLD).hash("a", text)

    @given(st.text())
    def test_it_has_one_form(self, text: str) -> None:
        assert re.fullmatch(r"hmac:[0-9a-f]{8}:[0-9a-f]{32}", HashKey(NEW).hash("a", text))

    def test_it_names_its_key_and_not_the_secret(self) -> None:
        key = HashKey(NEW)
        assert key.id in key.hash("a", "x")
        assert key.id != HashKey(OLD).id
        assert NEW.decode() not in repr(key) + key.hash("a", "x")

    @pytest.mark.parametrize("secret", [NEW, OLD])
    def test_one_made_elsewhere_with_a_known_key_is_not_hashed_again(self, secret: bytes) -> None:
        text = HashKey(secret).hash("a", "x")
        assert shown(Field("a", redact="hash"), text) == text

    @pytest.mark.parametrize(
        "text", [HashKey(b"?" * 32).hash("a", "x"), "hmac:", "hmac:alice", f"hmac:{HashKey(NEW).id}:x"]
    )
    def test_what_only_looks_like_one_is_hashed(self, text: str) -> None:
        assert shown(Field("a", redact="hash"), text) == HashKey(NEW).hash("a", text)

    def test_without_a_key_the_value_is_masked_and_that_is_reported(self, caplog: pytest.LogCaptureFixture) -> None:
        use_keys(())
        assert shown(Field("a", redact="hash"), "alice") == MASK
        assert counts()["redaction.no_key"] == 1
        assert "alice" not in caplog.text

    def test_a_key_that_comes_later_is_used(self) -> None:
        use_keys(())
        declare(Field("a", redact="hash"))
        use_keys([OLD])
        values: dict[str, Any] = {"a": "x"}
        registry().in_logs.redact(values)
        assert values == {"a": HashKey(OLD).hash("a", "x")}


class TestMemo:
    """A request makes one hash of one value, and remembers no other."""

    @pytest.fixture(autouse=True)
    def _hashed(self) -> None:
        use_keys([NEW])
        declare(Field("a", redact="hash"))

    @staticmethod
    def shown(layer: Layer | None) -> object:
        assert layer is not None
        values = layer.visible()
        registry().in_logs.redact(values, layer.hashes())
        return values["a"]

    def test_the_very_same_hash_comes_again(self) -> None:
        with request(a="x"):
            assert self.shown(current_layer()) is self.shown(current_layer())

    def test_another_value_has_its_own(self) -> None:
        with request(a="x"):
            for text in ("x", "y", "x"):
                set(a=text)
                assert self.shown(current_layer()) == HashKey(NEW).hash("a", text)
            with bind(a="z"):
                assert self.shown(current_layer()) == HashKey(NEW).hash("a", "z")
            assert self.shown(current_layer()) == HashKey(NEW).hash("a", "x")

    def test_it_holds_no_more_than_one_value_of_each_field(self) -> None:
        with request():
            for number in range(100):
                set(a=f"{number}")
                self.shown(current_layer())
            layer = current_layer()
            assert layer is not None
            assert layer.hashes() == {"a": ("99", HashKey(NEW).hash("a", "99"))}

    def test_another_request_has_a_memo_of_its_own(self) -> None:
        with request(a="x"):
            self.shown(current_layer())
            with request():
                layer = current_layer()
                assert layer is not None
                assert layer.hashes() == {}

    def test_a_mask_for_want_of_a_key_is_not_remembered(self) -> None:
        use_keys(())
        with request(a="x"):
            assert self.shown(current_layer()) == MASK
            use_keys([OLD])
            assert self.shown(current_layer()) == HashKey(OLD).hash("a", "x")


class TestView:
    def test_a_field_without_redaction_is_not_in_it(self) -> None:
        declare(Field("a"), Field("b", remote=True))
        assert registry().in_logs == registry().in_spans == View(names={"user_id": "user.id"})
        assert registry().on_wire == View()
        assert registry().in_metrics.altered == {}

    def test_no_value_stays_none(self) -> None:
        assert shown(Field("a", redact="mask"), None) is None
