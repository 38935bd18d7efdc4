"""The twins of `otelctx.core` beside the Python source that they do the work of: one of each, asked the same."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import copy
import enum
import gc
import inspect
import os
import pickle
import subprocess
import sys
import threading
import uuid
import weakref
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry import baggage, trace
from opentelemetry.context import Context, attach, get_current
from opentelemetry.trace import NonRecordingSpan, SpanContext

import otelctx
from otelctx.core import registry, reports
from otelctx.core.fields import Field
from otelctx.core.layers import ABSENT, Layer, Link
from otelctx.core.redaction import View
from otelctx.core.registry import Registry
from otelctx.core.request import Request
from otelctx.core.state import BAGGAGE_KEY, LAYER_KEY
from otelctx.errors import UnknownFieldError
from otelctx.native import TWINS, compiled_floors
from tests.bare_environment import bare_environment

pytestmark = pytest.mark.skipif("core" not in compiled_floors(), reason="nothing is compiled; run make native")


class Colour(enum.Enum):
    """An enumeration that a field is declared with."""

    RED = "red"
    BLUE = "blue"


class Text(str):
    """Text of somebody's own."""

    __slots__ = ()


class Rude:
    """What cannot be asked for anything."""

    def __str__(self) -> str:
        raise ValueError("no text")


FIELDS = (
    Field("plain", remote=True),
    Field("short", max_length=3),
    Field("endless", max_length=2**70),
    Field("checked", validate=lambda value: value != "bad"),
    Field("raises", validate=lambda value: 1 / len(value) > 0),
    Field("number", type=int),
    Field("ratio", type=float),
    Field("flag", type=bool),
    Field("id", type=uuid.UUID),
    Field("moment", type=datetime),
    Field("colour", type=Colour, remote=True),
    Field("made", generate=lambda: "made"),
    Field("unmade", generate=lambda: "far too long", max_length=3),
)
NAMES = [*(field.name for field in FIELDS), "undeclared", "named ünlike", ""]

TEXTS = st.one_of(
    st.text(max_size=5),
    st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=300),
    st.text("a\x00\x1f\x7f\x80\xa0\u2028\u2029\ud800\udfff\U0001f600é", max_size=4),
    st.sampled_from(["bad", "red", "a" * 256, "a" * 257, "1", "1_0", "true", "2020-01-01T00:00:00+00:00"]),
)
VALUES = st.one_of(
    st.none(),
    TEXTS,
    TEXTS.map(Text),
    st.integers(),
    st.floats(),
    st.booleans(),
    st.binary(max_size=3),
    st.uuids(),
    st.sampled_from([Colour.RED, Rude(), object(), datetime(2020, 1, 1, tzinfo=timezone.utc), [1], ()]),
)
CHANGES = st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=5)


@pytest.fixture(autouse=True)
def _declared() -> None:
    registry.replace(Registry(FIELDS))


def both(name: str) -> tuple[Any, Any]:
    """Return what stands in the source under the full *name*, and its twin."""
    pure, twin = TWINS[name]
    assert pure is not twin
    return pure, twin


def result_of(function: Callable[..., Any], *arguments: Any, **named: Any) -> tuple[Any, ...]:
    """Return what comes of a call: what it returns or raises, and what is reported."""
    before = dict(reports.counts())
    result: Any
    try:
        result = function(*arguments, **named)
    except Exception as error:  # noqa: BLE001 - it is compared
        result = type(error)
    after = reports.counts()
    return result, {kind: count - before.get(kind, 0) for kind, count in after.items() if count != before.get(kind, 0)}


def shape(value: Any) -> Any:
    """Return *value* so that a NaN is equal to itself, and True is not 1."""
    return [(name, type(one), repr(one)) for name, one in value.items()] if isinstance(value, dict) else value


class Recorded:
    """A listener that keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def __call__(self, request: Any, changes: Any, before: Any) -> None:
        self.told.append((shape(dict(request.values)), shape(dict(changes)), shape(dict(before))))


class TestAccepted:
    @settings(max_examples=500)
    @given(CHANGES, st.booleans())
    def test_it_takes_refuses_and_reports_the_same(self, values: dict[str, Any], strict: bool) -> None:
        pure, twin = both("otelctx.core.request.accepted")
        registry.replace(Registry(FIELDS, strict=strict))
        given = dict(values)

        (expected, reported), (got, reported_too) = result_of(pure, values), result_of(twin, values)

        assert (shape(expected), reported) == (shape(got), reported_too)
        assert shape(given) == shape(values)
        assert got is not values

    @pytest.mark.parametrize(
        "values", [MappingProxyType({"plain": "a"}), None, 5, "text", [("plain", "a")], {"plain": 5}, {5: "a"}, {}]
    )
    def test_it_takes_any_mapping_and_nothing_else(self, values: Any) -> None:
        pure, twin = both("otelctx.core.request.accepted")
        assert result_of(pure, values) == result_of(twin, values)


class Made:
    """A request of each kind, to which the same is done."""

    def __init__(self, values: dict[str, Any] | None = None) -> None:
        self.kinds = both("otelctx.core.request.Request")
        self.requests = [kind(None if values is None else dict(values)) for kind in self.kinds]
        self.listeners = [Recorded(), Recorded()]

    def check(self) -> None:
        """Compare all that is seen of both."""
        pure, twin = (
            {name: getattr(one, name) for name in type(self.requests[0]).__slots__ if name not in OWN}
            for one in self.requests
        )
        assert shape(pure.pop("values")) == shape(twin.pop("values"))
        assert pure == twin
        assert self.listeners[0].told == self.listeners[1].told


# What is not equal in two requests.
OWN = {"__weakref__", "version", "listeners", "_shown"}


class TestRequest:
    @given(CHANGES, st.lists(st.tuples(CHANGES, st.booleans()), max_size=4))
    def test_it_begins_and_is_written_to_the_same(
        self, values: dict[str, Any], writes: list[tuple[dict[str, Any], bool]]
    ) -> None:
        made = Made(values)
        made.check()
        for changes, listens in writes:
            for request, listener in zip(made.requests, made.listeners, strict=True):
                request.listeners = (listener,) if listens else ()
                version = request.version
                request.write(MappingProxyType(changes))
                assert request.version is not version
            made.check()

    def test_without_values_it_has_those_that_are_generated(self) -> None:
        made = Made()
        made.check()
        assert made.requests[1].values == {"made": "made"}
        assert made.requests[1].origins == {"made": "generated"}

    def test_what_a_dict_was_made_into_is_asked_itself(self) -> None:
        class Talking(dict[str, object]):
            asked: list[object]

            def get(self, name: Any, default: Any = None) -> Any:
                self.asked.append(name)
                return super().get(name, default)

        kinds = both("otelctx.core.request.Request")
        links = both("otelctx.core.layers.Link")
        asked = []
        for kind, link in zip(kinds, links, strict=True):
            values = Talking(a=1)
            values.asked = []
            request = kind(values)
            assert request.values is values
            assert (link(request).find("a"), link(request).find("b")) == (1, ABSENT)
            request.write({"a": 2})
            asked.append(values.asked)
        assert asked[0] == asked[1]

    @given(st.lists(st.sampled_from(["show a", "show b", "other view", "write"]), max_size=12))
    def test_what_is_shown_is_made_as_often(self, steps: list[str]) -> None:
        views = [View(frozenset(), {}), View(frozenset({"plain"}), {})]
        calls: list[list[Any]] = [[], []]
        for request, made in zip(Made({"plain": "x"}).requests, calls, strict=True):

            def maker(name: str, made: list[Any] = made) -> Callable[..., Any]:
                return lambda values, view, hashes: made.append((name, values, views.index(view))) or dict(hashes)

            a, b = maker("a"), maker("b")
            for number, step in enumerate(steps):
                if step == "write":
                    request.write({"plain": str(number)})
                else:
                    first = request.shown(b if step == "show b" else a, views[step == "other view"])
                    assert request.shown(b if step == "show b" else a, views[step == "other view"]) is first
        assert calls[0] == calls[1]

    def test_a_maker_that_raises_leaves_nothing_behind(self) -> None:
        for request in Made({"plain": "x"}).requests:
            with pytest.raises(ZeroDivisionError):
                request.shown(lambda *_: 1 // 0, View(frozenset(), {}))
            assert request.shown(lambda values, *_: dict(values), View(frozenset(), {})) == request.values

    @pytest.mark.parametrize("arguments", [(5,), ({}, {}, {}, {}), ("text",), ([],)])
    def test_wrong_arguments_raise_the_same(self, arguments: tuple[Any, ...]) -> None:
        pure, twin = both("otelctx.core.request.Request")
        (expected, _), (got, _) = result_of(pure, *arguments), result_of(twin, *arguments)
        assert expected is got

    def test_a_listener_that_raises_stops_the_ones_behind_it(self) -> None:
        for request, listener in zip(Made({}).requests, [Recorded(), Recorded()], strict=True):
            request.listeners = (lambda *_: 1 // 0, listener)
            with pytest.raises(ZeroDivisionError):
                request.write({"plain": "x"})
            assert (request.values["plain"], listener.told) == ("x", [])

    def test_it_can_be_referred_to_weakly_and_its_cycles_are_collected(self) -> None:
        request = both("otelctx.core.request.Request")[1]({})
        request.listeners = (request.write,)
        request.carried = {"cycle": request}
        gone = weakref.ref(request)
        del request
        gc.collect()
        assert gone() is None


class TestLink:
    @given(st.lists(st.tuples(st.sampled_from(["bind", "write", "member"]), CHANGES), max_size=6), CHANGES)
    def test_a_chain_finds_and_writes_the_same(
        self, steps: list[tuple[str, dict[str, Any]]], values: dict[str, Any]
    ) -> None:
        found: list[list[Any]] = []
        for link in both("otelctx.core.layers.Link"):
            request = Request(dict(values))
            layer, seen = link(request), []
            for what, changes in steps:
                if what == "write":
                    layer.write(changes)
                else:
                    layer = link(request, layer, *([dict(changes)] if what == "bind" else [{}, dict(changes)]))
                seen.append([layer.depth, layer.near is request.values, shape(dict(layer.bound))])
                seen.append(["absent" if (one := layer.find(name)) is ABSENT else repr(one) for name in NAMES])
            found.append(seen)
        assert found[0] == found[1]

    def test_nothing_is_written_outside_a_request(self) -> None:
        for link in both("otelctx.core.layers.Link"):
            with pytest.raises(LookupError, match="There is no request here to write to"):
                link(None).write({"plain": "x"})

    @pytest.mark.parametrize("name", [[], {}])
    def test_a_name_that_cannot_be_one_raises_the_same(self, name: Any) -> None:
        for request, link in zip(Made({}).requests, both("otelctx.core.layers.Link"), strict=True):
            with pytest.raises(TypeError, match="unhashable"):
                link(request, None, {"a": 1}).find(name)

    def test_a_long_chain_of_layers_is_folded_and_collected(self) -> None:
        with otelctx.request(plain="x"):
            context = get_current()
            for number in range(200):
                context = baggage.set_baggage(f"k{number}", "v", context)
            layer = context[BAGGAGE_KEY]
        assert isinstance(layer, Layer)
        assert layer.depth <= 64
        assert len(baggage.get_all(context)) == 201
        layer.bound = {"cycle": layer}
        holder = weakref.ref(layer.request)
        del layer, context
        gc.collect()
        assert holder() is None


SPAN = NonRecordingSpan(SpanContext(1, 2, is_remote=False))


class TestContexts:
    @staticmethod
    def contexts() -> list[Context]:
        with otelctx.request(plain="x"):
            inside = get_current()
            with otelctx.bind(short="abc"):
                bound = get_current()
        return [
            Context(),
            inside,
            bound,
            Context({**inside, BAGGAGE_KEY: {"other": "code"}}),
            Context({**inside, BAGGAGE_KEY: MappingProxyType({"other": "code"})}),
            Context({key: value for key, value in inside.items() if key != BAGGAGE_KEY}),
            Context({key: value for key, value in inside.items() if key != LAYER_KEY}),
            Context({LAYER_KEY: "text", BAGGAGE_KEY: 5}),
            trace.set_span_in_context(SPAN, inside),
            trace.set_span_in_context("no span"),  # type: ignore[arg-type]
        ]

    @pytest.mark.parametrize("name", ["state.layer_in", "state.layer_here", "here.span_in"])
    def test_what_is_read_is_the_same(self, name: str) -> None:
        pure, twin = both(f"otelctx.core.{name}")
        for context in self.contexts():
            expected, got = pure(context), twin(context)
            assert type(expected) is type(got)
            if not isinstance(expected, Layer):
                assert expected is got
            else:
                assert expected is got or expected == got
                assert expected.request is got.request

    def test_what_is_made_is_a_context_of_its_own(self) -> None:
        for pure, twin, value in (
            (*both("otelctx.core.here.with_span"), SPAN),
            (*both("otelctx.core.state.with_layer"), None),
            (*both("otelctx.core.state.with_layer"), Layer(None)),
        ):
            for context in self.contexts():
                before = list(context.items())
                expected, got = pure(context, value), twin(context, value)
                assert (type(got), list(got.items())) == (Context, list(expected.items()))
                assert (got is context, list(context.items())) == (False, before)

    @pytest.mark.parametrize("name", ["state.layer_in", "state.layer_here", "here.span_in"])
    @pytest.mark.parametrize("wrong", [None, 5, "text"])
    def test_what_is_no_context_raises_the_same(self, name: str, wrong: Any) -> None:
        pure, twin = both(f"otelctx.core.{name}")
        expected = result_of(pure, wrong)
        assert expected == result_of(twin, wrong)
        assert expected[0] is AttributeError

    @pytest.mark.parametrize("wrong", [None, 5, "text"])
    def test_a_token_that_is_none_raises_the_same(self, wrong: Any) -> None:
        pure, twin = both("otelctx.core.block.restore")
        assert result_of(pure, wrong) == result_of(twin, wrong) == (TypeError, {})

    def test_a_token_used_twice_or_elsewhere_does_the_same(self) -> None:
        for restore in both("otelctx.core.block.restore"):
            token = attach(Context(a=1))
            contextvars.copy_context().run(restore, token)
            assert get_current() == {"a": 1}
            restore(token)
            with pytest.raises(RuntimeError):
                restore(token)


class TestGet:
    @given(CHANGES, CHANGES, st.sampled_from(["request", "bind", "nothing"]), st.booleans(), VALUES)
    def test_it_finds_the_same(
        self, values: dict[str, Any], bound: dict[str, Any], where: str, strict: bool, default: Any
    ) -> None:
        registry.replace(Registry(FIELDS))
        pure, twin = both("otelctx.core.verbs.get")
        bound.pop("", None)
        with contextlib.ExitStack() as stack:
            if where != "nothing":
                stack.enter_context(otelctx.request())
                otelctx.set(**values)
            if where == "bind":
                stack.enter_context(otelctx.bind(**bound))
            registry.replace(Registry(FIELDS, strict=strict))
            for name in NAMES:
                for arguments in ([name], [name, default]):
                    (expected, reported), (got, reported_too) = result_of(pure, *arguments), result_of(twin, *arguments)
                    assert (expected is got, reported) == (True, reported_too)

    @pytest.mark.parametrize("arguments", [(), ([],), ("a", "b", "c"), (5,)])
    def test_wrong_arguments_raise_the_same(self, arguments: tuple[Any, ...]) -> None:
        pure, twin = both("otelctx.core.verbs.get")
        with otelctx.request(plain="x"):
            assert result_of(pure, *arguments) == result_of(twin, *arguments)

    def test_it_looks_like_the_source(self) -> None:
        for name, (pure, twin) in TWINS.items():
            if inspect.isfunction(pure):
                assert (twin.__doc__, twin.__module__, twin.__qualname__, inspect.signature(twin)) == (
                    pure.__doc__,
                    pure.__module__,
                    pure.__qualname__,
                    inspect.signature(pure),
                ), name
        assert pickle.loads(pickle.dumps(otelctx.get)) is otelctx.get
        assert str(inspect.signature(otelctx.bind)) == "(**values)"


class Stepped(otelctx.bind):
    """A binding of somebody's own, which counts."""

    __slots__ = ("steps",)

    def __enter__(self) -> None:
        self.steps = ["in"]
        super().__enter__()

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)  # type: ignore[arg-type]
        self.steps.append("out")


class TestBind:
    """The suite of tests/core runs with the twins as well; here is what is theirs alone."""

    @pytest.mark.parametrize("name", ["self", "values", "name", "context", "kind"])
    def test_any_name_may_be_bound(self, name: str) -> None:
        with otelctx.request(), otelctx.bind(**{name: "x"}):
            assert otelctx.get(name) == "x"

    def test_it_takes_names_alone(self) -> None:
        with pytest.raises(TypeError):
            otelctx.bind("text")  # type: ignore[call-arg]
        with pytest.raises(TypeError):
            otelctx.bind(**{5: "x"})  # type: ignore[misc]

    def test_an_undeclared_name_in_strict_mode_raises_where_it_is_written(self) -> None:
        registry.replace(Registry(FIELDS, strict=True))
        with pytest.raises(UnknownFieldError, match="did you mean 'plain'"):
            otelctx.bind(plein="x")

    def test_one_that_is_entered_cannot_be_entered_and_can_be_used_again(self) -> None:
        block = otelctx.bind(plain="x")
        with block, pytest.raises(RuntimeError, match="This bind block is entered already"), block:
            pass
        with block:
            assert otelctx.get("plain") == "x"
        assert otelctx.get("plain") is None
        block.__exit__(None, None, None)

    def test_a_subclass_has_its_own_way_in_and_out(self) -> None:
        with Stepped(plain="x") as nothing:
            assert (nothing, otelctx.get("plain")) == (None, "x")
        block = Stepped(plain="y")
        with contextlib.ExitStack() as stack:
            stack.enter_context(block)
            stack.enter_context(otelctx.bind(short="abc"))
            assert (otelctx.get("plain"), otelctx.get("short")) == ("y", "abc")
        assert (block.steps, otelctx.get("plain")) == (["in", "out"], None)

    def test_a_values_change_meanwhile_is_its_own(self) -> None:
        values = {"plain": "x"}
        block = otelctx.bind(**values)
        values["plain"] = "y"
        with otelctx.request():
            with block:
                otelctx.set(plain="z")
                assert otelctx.get("plain") == "z"
            with block:
                assert otelctx.get("plain") == "x"

    def test_each_kind_of_function_is_decorated(self) -> None:
        @otelctx.bind(plain="x")
        def plain() -> object:
            return otelctx.get("plain")

        @otelctx.bind(plain="x")
        async def asynchronous() -> object:
            await asyncio.sleep(0)
            return otelctx.get("plain")

        @otelctx.bind(plain="x")
        def generator() -> Iterator[object]:
            yield otelctx.get("plain")
            yield otelctx.get("plain")

        async def together() -> list[object]:
            return await asyncio.gather(*(asynchronous() for _ in range(3)))

        assert [plain(), *asyncio.run(together()), *generator(), otelctx.get("plain")] == ["x"] * 6 + [None]

    def test_threads_never_see_each_other(self) -> None:
        wrong: list[object] = []

        def work(number: int) -> None:
            for step in range(300):
                with otelctx.request(plain=f"{number}"), otelctx.bind(short=f"{step}"):
                    otelctx.set(checked=f"{number}-{step}")
                    seen = [otelctx.get(name) for name in ("plain", "short", "checked")]
                    if seen != [f"{number}", f"{step}", f"{number}-{step}"]:
                        wrong.append(seen)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        interval = sys.getswitchinterval()
        sys.setswitchinterval(1e-6)
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        finally:
            sys.setswitchinterval(interval)
        assert wrong == []


def everything() -> None:
    """Do all that has a twin once, on every way out."""
    with otelctx.request(plain="x", number="5", colour="nothing such"):
        otelctx.set(plain="y", undeclared=object())
        otelctx.get("plain")
        otelctx.get("missing", default=object())
        with contextlib.suppress(ZeroDivisionError), otelctx.bind(plain="z", moment="never"):
            baggage.set_baggage("k", "v", get_current())
            1 // 0  # noqa: B018 - that is the point
        block = otelctx.bind(short="abc")
        with contextlib.suppress(RuntimeError), block, block:
            pass
        with trace.use_span(SPAN):
            dict(otelctx.current())
        baggage.get_all(get_current())
    both("otelctx.core.here.span_in")[1](Context({"a": 1}))
    with contextlib.suppress(TypeError):
        both("otelctx.core.block.restore")[1](5)


def test_nothing_is_left_of_what_was_done() -> None:
    """References that a twin forgets, or takes one too many of, show in the count of the interpreter's blocks."""
    held = [NonRecordingSpan, Context, BAGGAGE_KEY, LAYER_KEY, SPAN, None, Layer, "plain", FIELDS[0]]
    for _ in range(200):
        everything()
    gc.collect()
    before, counts = sys.getallocatedblocks(), [sys.getrefcount(one) for one in held]
    for _ in range(1000):
        everything()
    gc.collect()
    assert abs(sys.getallocatedblocks() - before) < 500
    assert all(abs(now - then) < 100 for now, then in zip(map(sys.getrefcount, held), counts, strict=True))


@pytest.mark.parametrize("how", [copy.copy, copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
def test_requests_and_layers_are_copied_and_pickled(how: Callable[[Any], Any]) -> None:
    request = how(Request({"plain": "x"}))
    assert (type(request), request.values) == (Request, {"plain": "x", "made": "made"})
    link = how(Link(request, None, {"short": "abc"}))
    assert (type(link), link.bound, link.request.values) == (Link, {"short": "abc"}, request.values)
    with otelctx.request(plain="x"):
        assert how(get_current()[BAGGAGE_KEY]) == {"plain": "x"}  # what OpenTelemetry sees of it


OWN_CONTEXT = """
from opentelemetry.context import Context

class Own:
    def __init__(self):
        self.stack = [Context()]

    def attach(self, context):
        self.stack.append(context)
        return len(self.stack)

    def get_current(self):
        return self.stack[-1]

    def detach(self, token):
        del self.stack[token - 1:]
"""
IN_OWN_CONTEXT = """
import otelctx
from opentelemetry.context import get_current
from otelctx.core import here
from otelctx.native import compiled_floors

assert type(here.CURRENT).__name__ == "_Elsewhere", here.CURRENT
with otelctx.request(plain="x"):
    assert otelctx.get("plain") == "x"
    with otelctx.bind(plain="y"):
        assert otelctx.get("plain") == "y"
        otelctx.set(plain="z")
        assert otelctx.get("plain") == "z"
    assert otelctx.get("plain") == "z"
assert (otelctx.get("plain"), get_current()) == (None, {})
assert "core" in compiled_floors()
"""


def test_a_runtime_context_of_somebodys_own_is_asked(tmp_path: Path) -> None:
    (tmp_path / "own_context.py").write_text(OWN_CONTEXT)
    metadata = tmp_path / "own_context-1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: own-context\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text("[opentelemetry_context]\nown = own_context:Own\n")
    paths = os.pathsep.join([str(tmp_path), str(Path(__file__).parents[2])])

    subprocess.run(
        [sys.executable, "-c", IN_OWN_CONTEXT],
        env=bare_environment("PYTHON") | {"PYTHONPATH": paths, "OTEL_PYTHON_CONTEXT": "own"},
        timeout=60,
        check=True,
    )
