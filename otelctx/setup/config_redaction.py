"""
The section ``[otelctx.redaction]``: the keys that values are hashed with.

A field that is to be hashed needs one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypedDict

from otelctx.core.fields import Field
from otelctx.core.redaction import actions
from otelctx.setup.config_keys import read_keys
from otelctx.setup.config_schema import Text, check_section
from otelctx.setup.config_source import Source
from otelctx.setup.environment_variables import OTELCTX_REDACTION_KEY


class RedactionTable(TypedDict, total=False):
    """The table ``[otelctx.redaction]``."""

    key_file: Text
    key: Text


def build_redaction(
    sources: Sequence[Source], fields: Iterable[Field], directory: Path, problems: list[str]
) -> tuple[bytes, ...]:
    """Return the keys that *sources* give for the hashes of *fields*; mistakes are added to *problems*."""
    given = check_section(sources, "redaction", RedactionTable, problems)
    keys = read_keys("redaction", given, directory, problems)
    hashed = [field.name for field in fields if "hash" in actions(field.redact).values()]
    if hashed and not given:
        labels = ", ".join(source.label for source in sources if source.table.get("fields"))
        problems.append(
            f"{labels}: {', '.join(map(repr, hashed))} cannot be hashed without a key; "
            f"give redaction.key_file, or the key in {OTELCTX_REDACTION_KEY}"
        )
    return keys
