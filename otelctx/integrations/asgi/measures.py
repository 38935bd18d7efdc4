"""
The metrics of an exchange: those of OpenTelemetry's ASGI middleware, recorded with its own instruments.

Nothing is computed while no instrument is there that would keep it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opentelemetry.context import Context
from opentelemetry.metrics import NoOpHistogram, NoOpUpDownCounter

from otelctx.integrations.asgi.semantics import Semantics
from otelctx.integrations.asgi.types import Scope
from otelctx.signals.metrics import metric_attributes


class Measures:
    """
    The instruments of *middleware*.

    Attributes:
        semantics: which attributes they have.
    """

    def __init__(self, middleware: Any, semantics: Semantics) -> None:
        """Take the instruments that *middleware* has made."""
        self.semantics = semantics
        self._active = middleware.active_requests_counter
        # Old conventions first; None for those that are not reported.
        self._durations = (middleware.duration_histogram_old, middleware.duration_histogram_new)
        self._response_sizes = (
            middleware.server_response_size_histogram,
            middleware.server_response_body_size_histogram,
        )
        self._request_sizes = (middleware.server_request_size_histogram, middleware.server_request_body_size_histogram)
        self._are_kept = False

    def begin(self, attributes: dict[str, Any]) -> dict[str, Any] | None:
        """Count a request more; return what `end` needs, None where nothing is kept."""
        # Once there is a provider it stays.
        if not self._are_kept and not self._find_out():
            return None
        active = self.semantics.active(attributes)
        self._active.add(1, active)
        return active

    def _find_out(self) -> bool:
        for instrument in (self._active, *self._durations):
            # A proxy stands for an instrument that is made when a provider is set.
            real = getattr(instrument, "_real_instrument", instrument)
            if real is not None and not isinstance(real, (NoOpHistogram, NoOpUpDownCounter)):
                self._are_kept = True
        return self._are_kept

    def end(  # noqa: PLR0917
        self,
        active: dict[str, Any],
        attributes: dict[str, Any],
        scope: Scope,
        context: Context,
        seconds: float,
        response_size: int | None,
        route: Mapping[str, Any],
    ) -> None:
        """
        Record what an exchange took.

        Args:
            active: what `begin` returned.
            attributes: of the server span, and of the status.
            scope: of the request.
            context: with the server span, for exemplars, and with the request, for fields on metrics.
            seconds: how long it took.
            response_size: the ``content-length`` of the response.
            route: what a framework has said of the route; only the new conventions have it.
        """
        described = self.semantics.durations(attributes, scope)
        fields = metric_attributes(context)
        amounts = max(round(seconds * 1000), 0), max(seconds, 0)
        for duration, amount, shown, more in zip(self._durations, amounts, described, ({}, route), strict=True):
            if duration is not None:
                duration.record(amount, {**fields, **more, **shown}, context=context)
        self._active.add(-1, active)
        request_size = _request_size(scope)
        for sizes, size in ((self._response_sizes, response_size), (self._request_sizes, request_size)):
            for histogram, shown in zip(sizes, described, strict=True):
                if histogram is not None and size is not None:
                    histogram.record(size, shown, context=context)


def content_length(headers: Any) -> int | None:
    """Return the number that the first ``content-length`` of *headers* gives, if it is one."""
    for name, value in headers or ():
        if len(name) == 14 and bytes(name).lower() == b"content-length":
            return int(value) if bytes(value).isdigit() else None
    return None


def _request_size(scope: Scope) -> int | None:
    return content_length(scope["headers"])
