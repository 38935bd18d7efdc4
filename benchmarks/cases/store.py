"""
The store: reading and writing what belongs to the current request, inside one that has a user.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextvars import ContextVar, copy_context
from functools import cache
from typing import Any, Final

from benchmarks.cases.loops import repeated
from benchmarks.harness.case import Case, Group, Work

VAR: Final = "ContextVar and dict"
# The floor of a verb that is a Python function, and of a block that is a Python class: both do nothing else.
FUNCTION: Final = "ContextVar and dict in a function"
BLOCK: Final = "ContextVar and dict in a block"
DICT: Final = "dict"
LOCAL: Final = "threading.local"
BAGGAGE: Final = "OTel baggage"
EIGHT: Final = {f"field_{number}": f"value {number}" for number in range(8)}

GROUP: Final = Group("store", shared=True)
get = GROUP.case("get", targets={VAR: 3})
current = GROUP.case("current", quick=False)
set_one = GROUP.case("set", quick=False)
bind_one = GROUP.case("bind one field", targets={BAGGAGE: 0.8})
bind_eight = GROUP.case("bind eight fields", targets={BAGGAGE: 0.2})
request = GROUP.case("request, opened and closed", quick=False)
snapshot = GROUP.case("snapshot().run", quick=False)

_var: ContextVar[dict[str, Any]] = ContextVar("fields")


@cache
def opened() -> None:
    """Open a request for as long as the process lives."""
    import otelctx

    otelctx.declare(*(otelctx.Field(name, remote=True) for name in EIGHT))
    opened.block = otelctx.request(user_id="alice", request_id="r1")  # type: ignore[attr-defined]
    opened.block.__enter__()  # type: ignore[attr-defined]


def _ours(case: Case) -> Callable[[Callable[[], Callable[[], object]]], None]:
    def register(make: Callable[[], Callable[[], object]]) -> None:
        def contender() -> Work:
            opened()
            return repeated(make())

        case.contenders["otelctx"] = contender

    return register


def _with_var(case: Case) -> Callable[[Callable[[], object]], None]:
    def register(call: Callable[[], object]) -> None:
        def contender() -> Work:
            _var.set({"user_id": "alice", "request_id": "r1"})
            return repeated(call)

        case.contenders[VAR] = contender

    return register


@_ours(get)
def _get() -> Callable[[], object]:
    from otelctx import get

    return lambda: get("user_id")


@_with_var(get)
def _var_get() -> object:
    return _var.get()["user_id"]


@get.contender(FUNCTION)
def _function_get() -> Work:
    _var.set({"user_id": "alice", "request_id": "r1"})

    def read(name: str, default: object = None) -> object:
        return _var.get().get(name, default)

    return repeated(lambda: read("user_id"))


@get.contender(DICT)
def _dict_get() -> Work:
    fields = {"user_id": "alice", "request_id": "r1"}
    return repeated(lambda: fields["user_id"])


@get.contender(LOCAL)
def _local_get() -> Work:
    local = threading.local()
    local.user_id = "alice"
    return repeated(lambda: local.user_id)


@get.contender(BAGGAGE)
def _baggage_get() -> Work:
    from opentelemetry.baggage import get_baggage, set_baggage
    from opentelemetry.context import attach

    attach(set_baggage("user_id", "alice"))
    return repeated(lambda: get_baggage("user_id"))


@_ours(current)
def _current() -> Callable[[], object]:
    from otelctx import current

    return current


@_with_var(current)
def _var_current() -> object:
    return dict(_var.get())


@current.contender(BAGGAGE)
def _baggage_current() -> Work:
    from opentelemetry.baggage import get_all, set_baggage
    from opentelemetry.context import attach

    attach(set_baggage("request_id", "r1", set_baggage("user_id", "alice")))
    return repeated(get_all)


@_ours(set_one)
def _set() -> Callable[[], object]:
    from otelctx import set  # noqa: A004 - the verb

    return lambda: set(user_id="bob")


@_with_var(set_one)
def _var_set() -> object:
    return _var.set({**_var.get(), "user_id": "bob"})


@set_one.contender(DICT)
def _dict_set() -> Work:
    fields = {"user_id": "alice"}
    return repeated(lambda: fields.__setitem__("user_id", "bob"))


@set_one.contender(LOCAL)
def _local_set() -> Work:
    local = threading.local()

    def call() -> None:
        local.user_id = "bob"

    return repeated(call)


@_ours(bind_one)
def _bind() -> Callable[[], object]:
    from otelctx import bind

    def call() -> None:
        with bind(user_id="bob"):
            pass

    return call


@_with_var(bind_one)
def _var_bind() -> object:
    token = _var.set({**_var.get(), "user_id": "bob"})
    return _var.reset(token)


class _Block:
    """A block that sets what it is given, and puts back what was."""

    __slots__ = ("_token", "_values")

    def __init__(self, **values: str) -> None:
        self._values = values

    def __enter__(self) -> None:
        self._token = _var.set({**_var.get(), **self._values})

    def __exit__(self, *_: object) -> None:
        _var.reset(self._token)


def _in_block(fields: dict[str, str]) -> Work:
    _var.set({"user_id": "alice", "request_id": "r1"})

    def call() -> None:
        with _Block(**fields):
            pass

    return repeated(call)


@bind_one.contender(BLOCK)
def _block_bind() -> Work:
    return _in_block({"user_id": "bob"})


@bind_eight.contender(BLOCK)
def _block_bind_eight() -> Work:
    return _in_block(EIGHT)


@_ours(bind_eight)
def _bind_eight() -> Callable[[], object]:
    from otelctx import bind

    def call() -> None:
        with bind(**EIGHT):
            pass

    return call


@_with_var(bind_eight)
def _var_bind_eight() -> object:
    token = _var.set({**_var.get(), **EIGHT})
    return _var.reset(token)


def in_baggage(fields: dict[str, str]) -> Work:
    """Return the work that puts *fields* into baggage, attaches that, and detaches it."""
    from opentelemetry.baggage import set_baggage
    from opentelemetry.context import attach, detach, get_current

    def call() -> None:
        context = get_current()
        for name, value in fields.items():
            context = set_baggage(name, value, context)
        detach(attach(context))

    return repeated(call)


@bind_one.contender(BAGGAGE)
def _baggage_bind() -> Work:
    return in_baggage({"user_id": "bob"})


@bind_eight.contender(BAGGAGE)
def _baggage_bind_eight() -> Work:
    return in_baggage(EIGHT)


@_ours(request)
def _request() -> Callable[[], object]:
    from otelctx import request

    def call() -> None:
        with request(user_id="bob"):
            pass

    return call


@_with_var(request)
def _var_request() -> object:
    return _var.reset(_var.set({"user_id": "bob"}))


@request.contender(BAGGAGE)
def _baggage_request() -> Work:
    return in_baggage({"user_id": "bob"})


@_ours(snapshot)
def _snapshot() -> Callable[[], object]:
    from otelctx import snapshot

    def nothing() -> None: ...

    return lambda: snapshot().run(nothing)


@snapshot.contender("copy_context().run")
def _copied() -> Work:
    def nothing() -> None: ...

    return repeated(lambda: copy_context().run(nothing))
