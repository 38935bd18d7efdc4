"""
Clean attributes: those that OpenTelemetry would neither change nor refuse. Needs no SDK.
"""

from __future__ import annotations

from typing import Final

from opentelemetry.util.types import AnyValue

TEXT: Final = frozenset({str})
PLAIN: Final = frozenset({str, int, bool, float})


class Clean(dict[str, AnyValue]):
    """Attributes that a span may have as they are: their names are texts and their values plain."""

    __slots__ = ()
