"""
The live baggage as other code handles it: as a dict, a mapping proxy, a copy, a pickle.
"""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from opentelemetry import baggage
from opentelemetry.context import attach, detach, get_current

import otelctx
from otelctx.core.layers import Layer
from otelctx.core.state import layer_in
from tests.in_python import in_python


@contextmanager
def layer() -> Iterator[Layer]:
    """The layer under OTel's key, with a value from everywhere and local ones beside them."""
    otelctx.declare(otelctx.Field("tenant", remote=True, key="t"), otelctx.Field("n", type=int, remote=True))
    carrier = {"baggage": "request_id=r1,colour=red"}
    with otelctx.request(peer="unix", carrier=carrier, secret="local", n=5), otelctx.bind(tenant="acme"):
        found = layer_in(get_current())
        assert found is not None
        yield found


EXPECTED = {"request_id": "r1", "n": "5", "t": "acme", "colour": "red"}


class TestReading:
    """Everything that a plain dict answers, the layer answers from what is live."""

    def test_get_all_is_equal_to_a_dict_both_ways(self) -> None:
        with layer():
            assert baggage.get_all() == EXPECTED
            assert EXPECTED == baggage.get_all()
            assert not baggage.get_all() != EXPECTED  # noqa: SIM202 - `!=` is a method of its own
            assert baggage.get_all() != {}

    def test_copies(self) -> None:
        with layer() as view:
            for plain in (
                dict(baggage.get_all()),
                {**baggage.get_all()},
                baggage.get_all() | {},  # type: ignore[operator]
                {} | baggage.get_all(),  # type: ignore[operator]
                dict(view),
                {} | view,
                view | {},
                copy.copy(view),
                copy.deepcopy(view),
                pickle.loads(pickle.dumps(view)),
                json.loads(json.dumps(dict(baggage.get_all()))),
                dict(**view),
            ):
                assert type(plain) is dict
                assert plain == EXPECTED

    def test_a_copy_of_the_proxy_can_be_changed_without_changing_the_baggage(self) -> None:
        with layer():
            derived = baggage.get_all().copy()  # type: ignore[attr-defined]
            derived["colour"] = "blue"
            assert baggage.get_baggage("colour") == "red"

    def test_views_and_sizes(self) -> None:
        with layer() as view:
            assert len(view) == len(list(view)) == len(EXPECTED)
            assert set(view.keys()) == set(EXPECTED)
            assert sorted(map(str, view.values())) == sorted(EXPECTED.values())
            assert dict(view.items()) == EXPECTED
            assert list(reversed(view)) == list(view)[::-1]
            assert "t" in view
            assert "secret" not in view
            assert view.get("secret", "default") == "default"
            assert bool(view)
            assert repr(view) == repr(dict(view))
            with pytest.raises(KeyError):
                view["secret"]

    def test_is_live(self) -> None:
        with layer():
            view = baggage.get_all()
            otelctx.set(user_id="later")
            assert view["user_id"] == "later"
            otelctx.set(user_id=None)
            assert "user_id" not in view

    def test_items_are_of_one_moment(self) -> None:
        """A loop over them sees no change, however the request is written to meanwhile."""
        with layer():
            seen: dict[str, object] = {}
            for key, value in baggage.get_all().items():
                otelctx.set(n=None, tenant=None, **{f"new{len(seen)}": 1})
                seen[key] = value
            assert seen == EXPECTED


class TestWriting:
    """Each way that other code derives baggage."""

    def test_a_derived_baggage_leaves_the_first_alone(self) -> None:
        with layer() as view:
            derived = view.copy()
            derived["t"] = "other"
            derived.update({"colour": "blue"}, extra="1")
            assert derived.pop("n") == "5"
            assert derived.pop("n", None) is None
            with pytest.raises(KeyError):
                derived.pop("n")
            assert derived.setdefault("extra", "2") == "1"
            assert dict(derived) == {"request_id": "r1", "t": "other", "colour": "blue", "extra": "1"}
            assert dict(view) == EXPECTED

    def test_cleared(self) -> None:
        with layer() as view:
            derived = view.copy()
            derived.clear()
            assert dict(derived) == {}
            assert derived.find("secret") == "local"

    def test_deleting_what_is_not_there(self) -> None:
        with layer() as view, pytest.raises(KeyError):
            del view.copy()["nothing"]

    def test_a_popped_item_is_gone(self) -> None:
        with layer() as view:
            derived = view.copy()
            key, value = derived.popitem()
            assert EXPECTED[key] == value
            assert key not in derived


class Racing(dict[str, Any]):
    """Bindings that another thread takes away whenever somebody has looked whether they are there."""

    def __contains__(self, key: object) -> bool:
        found = super().__contains__(key)
        self.clear()
        return found


def test_a_binding_taken_off_between_two_looks_is_no_error() -> None:
    with otelctx.request(step="request"):
        outer = layer_in(get_current())
        assert outer is not None
        link = in_python("otelctx.core.layers.Link")
        assert link(outer.request, outer, Racing(step="bound")).find("step") in {"bound", "request"}


class TestRemovingWhatIsNotThere:
    """`remove_baggage` of a name without a value hides what the request gets later, in that Context."""

    def test_it_hides_a_later_value_in_its_context_only(self) -> None:
        with otelctx.request():
            here = otelctx.snapshot()
            token = attach(baggage.remove_baggage("user_id"))
            here.run(otelctx.set, user_id="later")
            assert otelctx.get("user_id") is None
            detach(token)
            assert otelctx.get("user_id") == "later"
