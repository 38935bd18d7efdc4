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
from otelctx.core.registry import declare, registry
from otelctx.errors import FieldError
from otelctx.propagation import egress, ingress
from otelctx.setup.config_files import read_files
from otelctx.setup.config_variables import read_variables

_PRIVATE: Final[Redact] = {"logs": "mask", "spans": "mask", "metrics": "mask", "wire": "drop"}


def hide(environ: Mapping[str, str], directory: Path) -> None:
    """
    Mask the fields that the configuration redacts in any way, and keep them off the wire.

    Trust nobody if it has rules of trust, and send no field anywhere if it has rules for that; a seal is both.

    Args:
        environ, directory: what `config.load` was called with.
    """
    unreadable: list[str] = []
    sources = [*read_files(environ, directory, unreadable), *read_variables(environ, unreadable)]
    if unreadable or any(source.table.keys() & {"ingress", "seal"} for source in sources):
        ingress.replace(ingress.Ingress(defaults=False))
    if unreadable or any(source.table.keys() & {"egress", "seal"} for source in sources):
        egress.replace(egress.EgressPolicy(defaults=False))
    names = {USER_ID.name} if unreadable else set[str]()
    for source in sources:
        fields = source.table.get("fields")
        tables = fields.items() if isinstance(fields, dict) else ()
        names |= {str(name) for name, table in tables if isinstance(table, dict) and "redact" in table}
    for name in names:
        with suppress(FieldError):  # no value can have a name that is none
            declare(replace(registry().by_name.get(name) or Field(name), redact=_PRIVATE))
