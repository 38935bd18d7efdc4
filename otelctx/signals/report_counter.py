"""
Reports as a metric: what went wrong on the request path, counted by kind.

A kind is a word of ours, so its attribute has few values; nothing that came from outside is in it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from opentelemetry.metrics import CallbackOptions, MeterProvider, Observation

from otelctx.core.reports import counts

NAME: Final = "otelctx.reports"
KIND: Final = "otelctx.report.kind"


def count_reports(provider: MeterProvider) -> None:
    """Make *provider* observe how often each kind was reported since the process started."""
    provider.get_meter("otelctx").create_observable_counter(
        NAME,
        callbacks=[_observe],
        unit="{report}",
        description="What otelctx refused, left out or could not do, by kind",
    )


def _observe(_: CallbackOptions) -> Iterable[Observation]:
    return [Observation(count, {KIND: kind}) for kind, count in counts().items()]
