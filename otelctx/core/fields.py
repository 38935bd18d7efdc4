"""
Fields: what a name means, declared once.

A declaration answers three questions apart from each other: what the value is, whether it crosses the wire, and where
it shows. It is frozen, and a wrong one fails here, before any request is served.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from math import isfinite
from typing import Final, cast

from otelctx.core.ids import uuid7
from otelctx.core.redaction import HASH_LENGTH, Action, Redact, Sink, actions
from otelctx.core.reports import report
from otelctx.core.values import INT64, FieldValue, decoder_of, is_moment, wire_text
from otelctx.errors import FieldError

# token, RFC 9110 section 5.6.2; also the grammar of a baggage key (W3C Baggage, 3.3.1.2) and of a header name.
TCHARS: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
is_token: Final = re.compile(TCHARS).fullmatch

# Lone surrogates are not text: no encoding of them exists, so what sends or stores them later would raise. Control
# characters and line separators would forge lines and move cursors where a log is read.
_NOT_TEXT: Final = re.compile("[\ud800-\udfff\x00-\x1f\x7f-\x9f\u2028\u2029]")

# What a request id may look like on the wire: no separators of headers, logs or shells in it.
is_request_id: Final = cast("Callable[[FieldValue], bool]", re.compile(r"[0-9A-Za-z._~:+/=@-]+").fullmatch)

_ARGUMENTS: Final = frozenset({"carrier", "nested", "peer"})

# The key of the marker: its value is how many members did not fit, here and in the services before.
DROPPED: Final = "otelctx-dropped"

_RESERVED_HEADERS: Final = frozenset(
    {
        *("traceparent", "tracestate", "baggage", "cookie", "set-cookie", "authorization", "proxy-authorization"),
        *("host", "connection", "content-length", "content-type", "te", "trailer", "transfer-encoding", "upgrade"),
    }
)


@dataclass(frozen=True)
class Field:
    """
    Declare what *name* is, whether it travels, and where it shows.

    Attributes:
        name: how code refers to it; an identifier.
        type: `str`, `int`, `float`, `bool`, `uuid.UUID`, `datetime.datetime` or an `enum.Enum` of plain values; a value
            from the wire, or another one of the same text, becomes one. A datetime must know its offset from UTC.
        remote: it also travels to other services, as a baggage member.
        header: a header of its own beside baggage, such as ``x-request-id``; only for a remote field.
        key: its key in baggage; the name unless given.
        attribute: its key on spans, log records and metric points; the name unless given.
        default: what `get` returns when there is no value. It is never sent nor stamped.
        log: it shows on log records.
        span: it shows on spans.
        metric: it shows on the metrics of a request; opt-in, since each value makes a time series.
        metric_limit: how many different values may show on metrics; the rest show as ``other``.
        echo: the response carries it in `header`.
        max_length: the longest text accepted, in characters.
        required: code that asks for it relies on there being one; `OTELCTX_DETECT` finds where there is none.
        validate: returns whether a value is acceptable.
        generate: makes the value of a new request that came with none.
        redact: what logs, spans, metrics and the wire have in place of the value: ``drop`` for nothing, ``mask`` for
            asterisks, ``hash`` for a keyed hash; for all four, or by sink, as in ``{"logs": "hash"}``.
        priority: when not everything fits on the wire, lower priorities are left out first.

    Raises:
        FieldError: the declaration contradicts itself.

    >>> Field("tenant", remote=True).attribute_name
    'tenant'
    """

    name: str
    type: type[FieldValue] = str
    remote: bool = False
    header: str | None = None
    key: str | None = None
    attribute: str | None = None
    default: FieldValue | None = None
    log: bool = True
    span: bool = True
    metric: bool = False
    metric_limit: int = 100
    echo: bool = False
    max_length: int = 256
    required: bool = False
    validate: Callable[[FieldValue], bool] | None = None
    generate: Callable[[], FieldValue] | None = None
    redact: Redact | None = field(default=None, hash=False)
    priority: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        if not isinstance(self.name, str) or not self.name.isidentifier():
            raise FieldError(f"Field {self.name!r}: a name must be an identifier, such as 'tenant_id'")
        if self.name in _ARGUMENTS:
            raise self._error("the name is an argument of otelctx.request(); choose another")
        self._check_type()
        self._check_wire()
        if self.max_length < 1 or self.metric_limit < 1:
            raise self._error("max_length and metric_limit must be at least 1")
        for what, function in (("validate", self.validate), ("generate", self.generate)):
            if function is not None and not callable(function):
                raise self._error(f"{what} must be a function, not {function!r}")
        self._check_redaction()

    def _check_type(self) -> None:
        try:
            known = isinstance(self.type, type) and decoder_of(self.type) is not None
        except ValueError as error:
            raise self._error(f"type {self.type!r} cannot be sent: {error}") from None
        if not known:
            raise self._error(f"type must be str, int, float, bool, UUID, datetime or an Enum, not {self.type!r}")
        if self.default is not None and not isinstance(self.default, self.type):
            raise self._error(f"default is of type {type(self.default).__name__}, not {self.type.__name__}")
        if isinstance(self.default, datetime) and not is_moment(self.default):
            raise self._error("a default datetime must know its offset from UTC; give it a tzinfo")

    def _check_wire(self) -> None:
        if not self.remote and (self.header or self.key):
            raise self._error("only a remote field has a header or a baggage key; add remote=True")
        if self.echo and not self.header:
            raise self._error("echo needs a header to answer in; add header='x-…'")
        if self.remote and not is_token(self.baggage_key):
            raise self._error(
                f"key {self.baggage_key!r} must be a token of RFC 9110; give it one, such as key='tenant'"
            )
        if self.remote and self.baggage_key == DROPPED:
            raise self._error(f"key {DROPPED!r} has a meaning of its own; choose another")
        if self.header is not None and not (is_token(self.header) and self.header == self.header.lower()):
            raise self._error(f"header {self.header!r} must be a lower-case header name, such as 'x-tenant'")
        if self.header in _RESERVED_HEADERS:
            raise self._error(f"header {self.header!r} has a meaning of its own; choose another")

    def _check_redaction(self) -> None:
        try:
            given = actions(self.redact)
        except ValueError as error:
            raise self._error(str(error)) from error
        on_wire = given.get("wire")
        if on_wire is None or on_wire == "drop":
            return
        if not self.remote:
            if not isinstance(self.redact, str):
                raise self._error("only a remote field is on the wire to be redacted; add remote=True")
        elif self.type is not str:
            raise self._error(f"a {on_wire} is text, which no {self.type.__name__} field receives; drop it on the wire")
        elif on_wire == "hash" and self.max_length < HASH_LENGTH:
            raise self._error(f"a hash has {HASH_LENGTH} characters; raise max_length, or drop it on the wire")

    def _error(self, what: str) -> FieldError:
        return FieldError(f"Field {self.name!r}: {what}")

    @property
    def baggage_key(self) -> str:
        """The key of its baggage member."""
        return self.key or self.name

    @property
    def attribute_name(self) -> str:
        """The attribute on spans, log records and metric points."""
        return self.attribute or self.name

    def redaction(self, sink: Sink) -> Action | None:
        """Return what *sink* has of it in place of the value, or None where it has the value."""
        return actions(self.redact).get(sink)

    def generated(self) -> FieldValue | None:
        """Return a new value from `generate`, or None where there is none to have."""
        if self.generate is None:
            return None
        try:
            value = self.generate()
        except Exception:  # noqa: BLE001 - it is other people's code, and this is the request path
            report("field.generate_raised", "The generate function of field %r raised", self.name)
            return None
        return None if value is None else self.accept(value)

    def accept(self, value: object) -> FieldValue | None:
        """
        Return *value* as this field holds it, or None when it does not fit; that is counted and reported.

        Nothing raises here: the value may well have come from outside.
        """
        if type(value) is not self.type:
            value = self._converted(value)
        # Most values are short plain text of a field that asks for no more.
        fits = type(value) is str and len(value) <= self.max_length and value.isprintable()
        if value is None or not ((fits or self._fits(value)) and (self.validate is None or self._valid(value))):
            report("field.refused", "A value for field %r was refused: it does not fit its declaration", self.name)
            return None
        return value

    def _converted(self, value: object) -> FieldValue | None:
        decode = decoder_of(self.type)
        try:
            return None if decode is None else decode(wire_text(value))
        except Exception:  # noqa: BLE001 - `str` of somebody's object is other people's code; `accept` reports it
            return None

    def _fits(self, value: object) -> bool:
        if isinstance(value, str):
            return len(value) <= self.max_length and (value.isprintable() or _NOT_TEXT.search(value) is None)
        if isinstance(value, float):
            return isfinite(value)
        if isinstance(value, datetime):
            return is_moment(value)
        return not isinstance(value, int) or -INT64 <= value < INT64

    def _valid(self, value: object) -> bool:
        try:
            return self.validate is None or bool(self.validate(value))  # type: ignore[arg-type]
        except Exception:  # noqa: BLE001 - it is other people's code, and this is the request path
            report("field.validate_raised", "The validate function of field %r raised", self.name)
            return False


REQUEST_ID: Final = Field(
    "request_id",
    remote=True,
    header="x-request-id",
    echo=True,
    max_length=128,
    validate=is_request_id,
    generate=uuid7,
    priority=100,
)
USER_ID: Final = Field("user_id", remote=True, attribute="user.id", priority=90)
