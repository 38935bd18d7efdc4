"""
The registry: every declared field of this process.

It is immutable. Declaring replaces it as a whole, so the request path reads it without a lock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from threading import Lock
from typing import Final

from otelctx.core.fields import REQUEST_ID, USER_ID, Field
from otelctx.core.redaction import Action, Sink, View, alteration
from otelctx.core.values import wire_text
from otelctx.errors import FieldError, UnknownFieldError

BUILT_IN: Final = (REQUEST_ID, USER_ID)


class Registry:
    """
    All declarations, indexed the ways the request path asks for them.

    Attributes:
        ahead, behind: the remote fields, the most important first, that leave before and after undeclared members.
        in_logs, in_spans, in_metrics: what shows there, by field name.
        on_wire: what travels, by baggage key.
        plain: by name, how long the text of a field may be that asks for nothing else.
        stamped: the names that every log record has, without values.
        shows_undeclared: whether logs and spans have what no field declares.
    """

    __slots__ = (
        "ahead",
        "behind",
        "by_key",
        "by_name",
        "echoed",
        "generated",
        "headers",
        "in_logs",
        "in_metrics",
        "in_spans",
        "on_metrics",
        "on_wire",
        "plain",
        "shows_undeclared",
        "stamped",
        "strict",
    )

    def __init__(
        self, fields: Iterable[Field] = BUILT_IN, *, strict: bool = False, shows_undeclared: bool = True
    ) -> None:
        """
        Index *fields*.

        Raises:
            FieldError: two fields claim the same baggage key, header or attribute.
        """
        self.by_name: Mapping[str, Field] = _unique("name", ((field.name, field) for field in fields))
        declared = self.by_name.values()
        self.strict = strict
        self.shows_undeclared = shows_undeclared
        only = None if shows_undeclared else frozenset(self.by_name)
        self.by_key = _unique("baggage key", ((field.baggage_key, field) for field in declared if field.remote))
        remote = sorted(self.by_key.values(), key=lambda field: -field.priority)
        self.ahead = tuple(field for field in remote if field.priority >= 0)
        self.behind = tuple(field for field in remote if field.priority < 0)
        self.headers = _unique("header", ((field.header, field) for field in declared if field.header))
        _unique("attribute", ((field.attribute_name, field) for field in declared))
        self.plain = {
            field.name: field.max_length for field in declared if field.type is str and field.validate is None
        }
        self.generated = tuple(field for field in declared if field.generate)
        self.echoed = tuple(field for field in declared if field.echo)
        self.in_logs = _view("logs", self.by_name, lambda field: field.log, only)
        self.in_spans = _view("spans", self.by_name, lambda field: field.span, only)
        self.in_metrics = _view("metrics", self.by_name, lambda field: field.metric)
        self.on_wire = _view("wire", self.by_key, lambda field: field.remote)
        self.stamped: Mapping[str, None] = dict.fromkeys(field.name for field in declared if field.log)
        self.on_metrics = tuple(field for field in declared if field.name not in self.in_metrics.hidden)

    def check(self, name: str) -> None:
        """
        Refuse an undeclared *name* in strict mode.

        Raises:
            UnknownFieldError: with the nearest declared name as a suggestion.
        """
        if self.strict and name not in self.by_name:
            from difflib import get_close_matches  # noqa: PLC0415 - for a mistake only

            near = get_close_matches(name, self.by_name, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else "; declare it in otelctx.toml or turn strict mode off"
            raise UnknownFieldError(f"Field {name!r} is not declared{hint}")


def _unique(what: str, pairs: Iterable[tuple[str, Field]]) -> dict[str, Field]:
    index: dict[str, Field] = {}
    for claim, field in pairs:
        other = index.setdefault(claim, field)
        if other is not field:
            raise FieldError(f"Fields {other.name!r} and {field.name!r} both claim the {what} {claim!r}")
    return index


def _view(
    sink: Sink, fields: Mapping[str, Field], is_shown: Callable[[Field], bool], only: frozenset[str] | None = None
) -> View:
    actions: dict[str, Action | None] = {
        name: field.redaction(sink) if is_shown(field) else "drop" for name, field in fields.items()
    }
    return View(
        frozenset(name for name, action in actions.items() if action == "drop"),
        {
            name: alteration(action, fields[name].name, wire_text)
            for name, action in actions.items()
            if action is not None and action != "drop"
        },
        {name: field.attribute_name for name, field in fields.items() if name != field.attribute_name}
        if sink != "wire"
        else {},
        only,
    )


_lock = Lock()
_active = Registry()


def registry() -> Registry:
    """Return what is declared now."""
    return _active


def declare(*fields: Field, strict: bool | None = None) -> None:
    """
    Add *fields* to those of this process; one of the same name, the built-in ones too, is replaced.

    Args:
        strict: from now on refuse (True) or allow (False) undeclared names; None leaves it as it is.

    Raises:
        FieldError: two fields claim the same baggage key, header or attribute. Nothing has changed then.
    """
    global _active  # noqa: PLW0603 - one reference, replaced as a whole
    with _lock:
        others = tuple(field for name, field in _active.by_name.items() if name not in {new.name for new in fields})
        _active = Registry(
            (*others, *fields),
            strict=_active.strict if strict is None else strict,
            shows_undeclared=_active.shows_undeclared,
        )


def replace(new: Registry) -> Registry:
    """Make *new* the registry and return the one that was; for set-up and tests."""
    global _active
    with _lock:
        old, _active = _active, new
    return old
