"""
Properties of baggage members: they travel with the value that they came with, and with no other.
"""

from __future__ import annotations

import pytest
from opentelemetry import baggage
from opentelemetry.context import attach, detach

import otelctx
from otelctx import Field, bind, declare, inject, request
from otelctx.propagation.codec import decode


def sent() -> set[str]:
    headers: dict[str, str] = {}
    inject(headers)
    return set(headers["baggage"].split(","))


class TestDecode:
    """Properties stand beside the members, verbatim if they are well-formed."""

    @pytest.mark.parametrize(
        ("header", "properties"),
        [
            ("k=v", {}),
            ("k=v;p", {"k": ";p"}),
            ("k=v;p=1;q=a%20b;p", {"k": ";p=1;q=a%20b;p"}),
            ("k = v ; p = 1 ;q\t", {"k": ";p = 1 ;q"}),
            ("k=v;p=", {"k": ";p="}),
            ("k=v;p=a=b", {"k": ";p=a=b"}),
            ("k=v;p=1,a=b,c=d;q", {"k": ";p=1", "c": ";q"}),
            ("k=v;p=1,k=w", {}),
            ("k=v,k=w;p=1", {"k": ";p=1"}),
            ("k=v;p=1,k=w;q", {"k": ";q"}),
            ("k=v;", {}),
            ("k=v;;p", {}),
            ("k=v;=1", {}),
            ("k=v;a b", {}),
            ("k=v;p=a b", {}),
            ('k=v;p="1"', {}),
            ("k=v;é", {}),
        ],
    )
    def test_of_a_header(self, header: str, properties: dict[str, str]) -> None:
        assert decode([header])[1] == properties

    def test_properties_that_are_not_valid_leave_their_member(self) -> None:
        assert decode(["k=v;a b,l=w"]) == ({"k": "v", "l": "w"}, {})


class TestPassThrough:
    """What comes in and is not changed leaves with its properties."""

    def test_of_a_member_that_nobody_declares(self) -> None:
        with request(peer="unix", carrier={"baggage": "colour=light%20blue;ttl=5;x"}):
            assert "colour=light%20blue;ttl=5;x" in sent()

    def test_of_a_field_that_has_its_received_value(self) -> None:
        with request(peer="unix", carrier={"baggage": "user_id=alice;ttl=5"}):
            assert "user_id=alice;ttl=5" in sent()

    def test_of_a_value_whose_text_on_the_wire_is_another(self) -> None:
        declare(Field("n", type=int, remote=True))
        with request(peer="unix", carrier={"baggage": "n=05;ttl=5"}):
            assert "n=5;ttl=5" in sent()

    def test_not_of_a_value_that_was_set(self) -> None:
        with request(peer="unix", carrier={"baggage": "user_id=alice;ttl=5"}):
            otelctx.set(user_id="bob")
            assert "user_id=bob" in sent()

    def test_not_of_a_bound_value_but_of_the_outer_one_again(self) -> None:
        with request(peer="unix", carrier={"baggage": "user_id=alice;ttl=5"}):
            with bind(user_id="bob"):
                assert "user_id=bob" in sent()
            assert "user_id=alice;ttl=5" in sent()

    def test_not_of_a_member_that_other_code_has_changed(self) -> None:
        with request(peer="unix", carrier={"baggage": "colour=blue;ttl=5"}):
            token = attach(baggage.set_baggage("colour", "red"))
            assert "colour=red" in sent()
            detach(token)
            assert "colour=blue;ttl=5" in sent()

    def test_not_of_a_member_whose_field_came_in_its_own_header(self) -> None:
        with request(peer="unix", carrier={"baggage": "request_id=r1;ttl=5", "x-request-id": "r2"}):
            assert sent() == {"request_id=r2"}

    def test_not_of_a_member_that_was_refused(self) -> None:
        declare(Field("n", type=int, remote=True))
        with request(peer="unix", carrier={"baggage": "n=many;ttl=5"}):
            otelctx.set(n=5)
            assert "n=5" in sent()

    def test_in_a_request_within_the_request(self) -> None:
        with request(peer="unix", carrier={"baggage": "user_id=alice;ttl=5"}), request(step="charge"):
            assert "user_id=alice;ttl=5" in sent()
