"""
The section ``[otelctx.export]``: whether and how what cannot be delivered waits on disk.

Its keys are those of `SpoolSettings`, which has the defaults.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, TypedDict

from msgspec import Meta

from otelctx.export.settings import SpoolSettings
from otelctx.setup.config_schema import Count, Switch, Text, check_section
from otelctx.setup.config_source import Source

_Seconds = Annotated[float, Meta(ge=0, description="a number of seconds")]


class ExportTable(TypedDict, total=False):
    """The table ``[otelctx.export]``."""

    spool: Switch
    directory: Text
    max_bytes: Count
    max_memory_bytes: Count
    max_age_seconds: _Seconds
    shutdown_seconds: _Seconds
    requests_per_second: Annotated[float, Meta(gt=0, description="a number above 0")]
    write_through: Switch
    fsync: Switch


def build_export(sources: Sequence[Source], directory: Path, problems: list[str]) -> SpoolSettings | None:
    """
    Return what *sources* say of the spool, or None when they switch it off; mistakes are added to *problems*.

    A relative path starts at *directory*. Without one in *sources*, that of the settings is None.
    """
    given: dict[str, Any] = {
        key: value for key, (value, _) in check_section(sources, "export", ExportTable, problems).items()
    }
    if not given.pop("spool", True):
        return None
    place = given.pop("directory", "")
    return SpoolSettings(directory / Path(place).expanduser() if place else None, **given)
