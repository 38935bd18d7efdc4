"""
What holds while the configuration is wrong: what it says is to be redacted is private, who it judges is a stranger.

A mistake in a file must not show what the file is there to hide, nor believe whom it is there to doubt.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

from otelctx.core.fields import USER_ID, Field
from otelctx.core.redaction import Redact
from otelctx.core.registry import Registry, declare, registry
from otelctx.core.registry import replace as replace_registry
from otelctx.errors import FieldError
from otelctx.propagation import egress, ingress
from otelctx.setup.config_files import read_files
from otelctx.setup.config_variables import read_variables

# Of a table of another name nobody knows what it hides. The schema has these too, but it needs msgspec.
KNOWN: Final = frozenset(
    {"strict", "subprocesses", "detect", "fields", "ingress", "egress", "redaction", "seal", "export"}
)
KNOWN_OF_A_FIELD: Final = frozenset(
    {
        *("type", "remote", "header", "key", "attribute", "default", "log", "span", "metric", "metric_limit", "echo"),
        *("max_length", "required", "pattern", "redact", "priority"),
    }
)

_PRIVATE: Final[Redact] = {"logs": "mask", "spans": "mask", "metrics": "mask", "wire": "drop"}


def hide(environ: Mapping[str, str], directory: Path) -> None:
    """
    Mask the fields that the configuration redacts or hides in any way, and keep them off the wire.

    Where it cannot be read, or has a table that nobody knows, that may be any: then logs and spans have declared fields
    only, and what follows holds too.
    Trust nobody if it has rules of trust, and send no field anywhere if it has rules for that; a seal is both.

    Args:
        environ, directory: what `config.load` was called with.
    """
    unreadable: list[str] = []
    sources = [*read_files(environ, directory, unreadable), *read_variables(environ, unreadable)]
    said = {key for source in sources for key in source.table}
    others = {key for source in sources for key in source.table.keys() - KNOWN if isinstance(source.table[key], dict)}
    fields_of_each = [source.table.get("fields", {}) for source in sources]
    is_unclear = bool(unreadable or others) or not all(isinstance(fields, dict) for fields in fields_of_each)
    if is_unclear or said & {"ingress", "seal"}:
        ingress.replace(ingress.Ingress(defaults=False))
    if is_unclear or said & {"egress", "seal"}:
        egress.replace(egress.EgressPolicy(defaults=False))
    names = {
        str(name)
        for fields in fields_of_each
        if isinstance(fields, dict)
        for name, table in fields.items()
        if _is_private(table)
    }
    if is_unclear:
        names.add(USER_ID.name)
        declared = registry()
        replace_registry(Registry(declared.by_name.values(), strict=declared.strict, shows_undeclared=False))
    for name in names:
        with suppress(FieldError):  # no value can have a name that is none
            declare(replace(registry().by_name.get(name) or Field(name), redact=_PRIVATE))


def _is_private(table: object) -> bool:
    """Tell whether the *table* of a field hides it somewhere, or may have been meant to."""
    if not isinstance(table, dict):
        return True
    return "redact" in table or False in (table.get("log"), table.get("span")) or not table.keys() <= KNOWN_OF_A_FIELD
