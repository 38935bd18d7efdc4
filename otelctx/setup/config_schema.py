"""
The schema of the configuration: which keys there are, and what each must be.

Each key is checked by itself, so that one run shows every mistake.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Annotated, Any, Final, Literal, TypedDict, get_type_hints

from msgspec import Meta, ValidationError, convert

from otelctx.core.redaction import Action, Sink
from otelctx.setup.config_source import Source, found

Switch = Annotated[bool, Meta(description="true or false")]
Count = Annotated[int, Meta(ge=1, description="an integer of at least 1")]
Text = Annotated[str, Meta(description="a string")]
Texts = Annotated[list[str], Meta(description="a list of strings")]
Table = Annotated[dict[Any, Any], Meta(description="a table")]


class OtelctxTable(TypedDict, total=False):
    """The table ``[otelctx]``."""

    strict: Switch
    subprocesses: Switch
    detect: Annotated[Literal["off", "warn", "error"], Meta(description="'off', 'warn' or 'error'")]
    fields: Annotated[dict[Any, Any], Meta(description="a table with a table for each field")]
    redaction: Table
    ingress: Table
    egress: Table
    seal: Table
    export: Table


class FieldTable(TypedDict, total=False):
    """A table ``[otelctx.fields.NAME]``; the keys mean what they mean for `Field`."""

    type: Annotated[
        Literal["str", "int", "float", "bool", "uuid", "datetime"],
        Meta(description="'str', 'int', 'float', 'bool', 'uuid' or 'datetime'"),
    ]
    remote: Switch
    header: Text
    key: Text
    attribute: Text
    default: Annotated[str | int | float | bool, Meta(description="a string, a number, true or false")]
    log: Switch
    span: Switch
    metric: Switch
    metric_limit: Count
    echo: Switch
    max_length: Count
    required: Switch
    pattern: Annotated[str, Meta(min_length=1, description="a regular expression")]
    redact: Annotated[
        Action | dict[Sink, Action],
        Meta(description="'drop', 'mask' or 'hash', or a table of 'logs', 'spans', 'metrics' and 'wire' with these"),
    ]
    priority: Annotated[int, Meta(description="an integer")]


def check_settings(source: Source, problems: list[str]) -> dict[str, object]:
    """Return the keys of the whole table that are right, tables left out; the others are added to *problems*."""
    checked = _check(source, (), source.table, _SETTINGS, problems)
    return {key: value for key, value in checked.items() if not isinstance(value, dict)}


def check_section(
    sources: Iterable[Source], name: str, keys: type, problems: list[str]
) -> dict[str, tuple[Any, Source]]:
    """
    Return what *sources*, the weakest first, say together in their tables ``[otelctx.NAME]``.

    Args:
        keys: a `TypedDict` of the keys there are, each annotated with what it must be.
        problems: gets one line for each mistake; a table that is none is said by `check_settings`.
    """
    values: dict[str, tuple[Any, Source]] = {}
    for source in sources:
        table = source.table.get(name)
        if isinstance(table, dict):
            checked = check_table(source, (name,), table, keys, problems)
            values.update({key: (value, source) for key, value in checked.items()})
    return values


def check_table(
    source: Source, path: tuple[object, ...], table: Mapping[Any, Any], keys: type, problems: list[str]
) -> dict[str, Any]:
    """Return the keys of *table*, which stands at *path*, that are right; *keys* and *problems* as `check_section`."""
    return _check(source, path, table, get_type_hints(keys, include_extras=True), problems)


def check_fields(source: Source, problems: list[str]) -> dict[str, dict[str, object]]:
    """Return the keys of each field that are right; the others are added to *problems*."""
    tables = source.table.get("fields")
    checked: dict[str, dict[str, object]] = {}
    if not isinstance(tables, dict):
        return checked  # said by check_settings
    for name, table in tables.items():
        if isinstance(table, dict) or table is None:
            checked[str(name)] = _check(source, ("fields", name), table or {}, _FIELD, problems)
        else:
            problems.append(f"{source.at('fields', name)}: expected a table, got {found(table)}")
    return checked


_SETTINGS: Final = get_type_hints(OtelctxTable, include_extras=True)
_FIELD: Final = get_type_hints(FieldTable, include_extras=True)


def _check(
    source: Source, path: tuple[object, ...], table: Mapping[Any, Any], types: Mapping[str, Any], problems: list[str]
) -> dict[str, object]:
    checked: dict[str, object] = {}
    for key, value in table.items():
        if key not in types:
            near = get_close_matches(str(key), types, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"expected one of {', '.join(types)}"
            problems.append(f"{source.at(*path, key)}: unknown key; {hint}")
        elif value is not None:
            # null, which only OTEL_CONFIG_FILE has, means "not given": that is what an unset ${VAR} becomes there.
            # A default stays as it is until the field's type is known.
            is_strict = key == "default" or not source.is_text
            try:
                checked[key] = convert(value, types[key], strict=is_strict)
            except ValidationError:
                expected = types[key].__metadata__[0].description
                problems.append(f"{source.at(*path, key)}: expected {expected}, got {found(value)}")
    return checked
