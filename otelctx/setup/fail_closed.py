"""
What is private while the configuration is wrong: all that it says is to be redacted, as far as it can be read.

A mistake in a file must not show what the file is there to hide.
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
from otelctx.setup.config_files import read_files
from otelctx.setup.config_variables import read_variables

_PRIVATE: Final[Redact] = {"logs": "mask", "spans": "mask", "metrics": "mask", "wire": "drop"}


def hide(environ: Mapping[str, str], directory: Path) -> None:
    """
    Mask the fields that the configuration redacts in any way, and keep them off the wire.

    Args:
        environ, directory: what `config.load` was called with.
    """
    unreadable: list[str] = []
    sources = [*read_files(environ, directory, unreadable), *read_variables(environ, unreadable)]
    names = {USER_ID.name} if unreadable else set[str]()
    for source in sources:
        fields = source.table.get("fields")
        tables = fields.items() if isinstance(fields, dict) else ()
        names |= {str(name) for name, table in tables if isinstance(table, dict) and "redact" in table}
    for name in names:
        with suppress(FieldError):  # no value can have a name that is none
            declare(replace(registry().by_name.get(name) or Field(name), redact=_PRIVATE))
