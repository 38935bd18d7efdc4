"""
Configured fields: what all sources say of each field, made into declarations.

Sources are merged key by key. A key that none of them gives is the built-in field's, else the default of `Field`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from msgspec import ValidationError, convert

from otelctx.core.fields import Field
from otelctx.core.registry import BUILT_IN, Registry
from otelctx.core.values import FieldValue, wire_text
from otelctx.errors import FieldError
from otelctx.setup.config_schema import check_fields
from otelctx.setup.config_source import Source, kind

_TYPES: Final[Mapping[object, type[FieldValue]]] = {
    "str": str,
    "int": int,
    "float": float,
    "bool": bool,
    "uuid": UUID,
    "datetime": datetime,
}
_BUILT_IN: Final = {built_in.name: built_in for built_in in BUILT_IN}


@dataclass(frozen=True)
class MatchesPattern:
    """Accepts a value whose whole text, as on the wire, matches *pattern*."""

    pattern: re.Pattern[str]

    def __call__(self, value: FieldValue) -> bool:
        """Tell whether *value* matches."""
        return self.pattern.fullmatch(wire_text(value)) is not None


def build_fields(sources: Iterable[Source], problems: list[str]) -> tuple[Field, ...]:
    """Return the fields that *sources*, the weakest first, declare together; mistakes are added to *problems*."""
    drafts: dict[str, _Draft] = {}
    for source in sources:
        for name, keys in check_fields(source, problems).items():
            draft = drafts.setdefault(name, _Draft(name))
            draft.sources.append(source)
            draft.keys.update({key: (value, source) for key, value in keys.items()})
    built = [draft.build(problems) for draft in drafts.values()]
    fields = tuple(declared for declared in built if declared is not None)
    try:
        Registry({**_BUILT_IN, **{declared.name: declared for declared in fields}}.values())
    except FieldError as error:
        labels = dict.fromkeys(source.label for draft in drafts.values() for source in draft.sources)
        problems.append(f"{', '.join(labels)}: {error}")
    return fields


@dataclass
class _Draft:
    """All that is said of one field: for each key its value and who gave it."""

    name: str
    keys: dict[str, tuple[Any, Source]] = field(default_factory=dict[str, tuple[Any, Source]])
    sources: list[Source] = field(default_factory=list[Source])

    def build(self, problems: list[str]) -> Field | None:
        """Return the declaration, or None when there are *problems* with it."""
        before = len(problems)
        base = _BUILT_IN.get(self.name)
        changes = {key: value for key, (value, _) in self.keys.items() if key != "pattern"}
        changes["type"] = _TYPES[changes["type"]] if "type" in changes else base.type if base else str
        if changes.get("header") == "":
            changes["header"] = None
        if "default" in self.keys:
            changes["default"] = self._default(changes["type"], problems)
        if "pattern" in self.keys:
            changes["validate"] = self._validate(problems)
        if len(problems) > before:
            return None
        try:
            declared = replace(base, **changes) if base else Field(self.name, **changes)
        except FieldError as error:
            problems.append(f"{self._places()}: {str(error).removeprefix(f'Field {self.name!r}: ')}")
            return None
        if declared.generate is not None and not _fits(declared, declared.generate()):
            what = "the values that are generated for it would not fit; change type, max_length or pattern"
            problems.append(f"{self._places()}: {what}")
            return None
        return declared

    def _default(self, wanted: type[FieldValue], problems: list[str]) -> FieldValue | None:
        value, source = self.keys["default"]
        try:
            return convert(value, wanted, strict=not source.is_text)
        except ValidationError:
            # Of the kind only: a default is data, and may be a secret that a variable put there.
            spot = source.at("fields", self.name, "default")
            problems.append(f"{spot}: expected a value of type {wanted.__name__}, got {kind(value)}")
            return None

    def _validate(self, problems: list[str]) -> MatchesPattern | None:
        value, source = self.keys["pattern"]
        try:
            return MatchesPattern(re.compile(value))
        except (re.error, OverflowError, RecursionError) as error:
            spot = source.at("fields", self.name, "pattern")
            problems.append(f"{spot}: expected a regular expression: {error}")
            return None

    def _places(self) -> str:
        return ", ".join(dict.fromkeys(source.at("fields", self.name) for source in self.sources))


def _fits(declared: Field, value: FieldValue) -> bool:
    # Not Field.accept, which counts and reports what it refuses.
    is_short = len(str(value)) <= declared.max_length
    return type(value) is declared.type and is_short and (declared.validate is None or declared.validate(value))
