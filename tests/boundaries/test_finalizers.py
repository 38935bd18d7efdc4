"""Finalizers run in no request, where Python can tell that it is nobody's work."""

from __future__ import annotations

import gc
import sys
import weakref
from collections.abc import Iterator

import pytest

import otelctx
from otelctx import get, request
from otelctx.boundaries import finalizers

from_3_12 = pytest.mark.skipif(sys.version_info < (3, 12), reason="before 3.12 a collection may not touch variables")


@pytest.fixture(autouse=True)
def _installed() -> Iterator[None]:
    before, callbacks = weakref.finalize.__call__, [*gc.callbacks]
    gc.collect()
    finalizers.install()
    finalizers.install()
    yield
    finalizers.uninstall()
    assert weakref.finalize.__call__ is before
    assert gc.callbacks == callbacks


class Resource:
    def __init__(self) -> None:
        self.itself = self


@from_3_12
def test_del_in_a_collection_runs_in_no_request() -> None:
    seen: list[object] = []

    class Finalized(Resource):
        def __del__(self) -> None:
            seen.append(get("user_id"))

    Finalized()
    with request(user_id="alice"):
        gc.collect()
        assert get("user_id") == "alice"
    assert seen == [None]


@from_3_12
def test_del_in_a_collection_does_not_run_in_a_tasks_ambient_request_either() -> None:
    seen: list[object] = []

    class Finalized(Resource):
        def __del__(self) -> None:
            seen.append(get("user_id"))

    Finalized()
    otelctx.set(user_id="ambient")
    gc.collect()
    assert (seen, get("user_id")) == ([None], "ambient")


@from_3_12
def test_a_weak_references_callback_in_a_collection_runs_in_no_request() -> None:
    seen: list[object] = []
    resource = Resource()
    reference = weakref.ref(resource, lambda _: seen.append(get("user_id")))
    del resource
    with request(user_id="alice"):
        gc.collect()
    assert reference() is None
    assert seen == [None]


def test_weakref_finalize_runs_in_no_request_whoever_drops_the_last_reference() -> None:
    seen: list[object] = []
    resource = type("Plain", (), {})()
    with request(user_id="registering"):
        weakref.finalize(resource, lambda name: seen.append(get(name)), "user_id")
    with request(user_id="dropping"):
        del resource
        assert get("user_id") == "dropping"
    assert seen == [None]


def test_weakref_finalize_called_by_hand_is_a_function_like_any_other() -> None:
    resource = Resource()
    finalize = weakref.finalize(resource, get, "user_id")
    with request(user_id="alice"):
        assert finalize() == "alice"
    assert finalize() is None


def test_a_collection_that_began_before_the_installation_does_no_harm() -> None:
    finalizers._collecting("stop", {})
    with request(user_id="alice"):
        gc.collect()
        assert get("user_id") == "alice"
