"""
The metrics of an exchange: those of OpenTelemetry's ASGI middleware, recorded with its own instruments.

Nothing is computed while no instrument is there that would keep it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from opentelemetry.context import Context
from opentelemetry.metrics import Histogram, NoOpHistogram, NoOpUpDownCounter

from otelctx.integrations.asgi.semantics import Semantics
from otelctx.integrations.asgi.types import Scope
from otelctx.signals.metrics import metric_attributes


class _Convention(NamedTuple):
    """The histograms of one convention; both may be reported at once."""

    shown: Callable[[Mapping[str, Any], Scope], dict[str, Any]]
    is_new: bool
    duration: Histogram
    response_size: Histogram | None
    request_size: Histogram | None


# What has more is no length of anything; and Python refuses to read a number of thousands of digits.
_MOST_DIGITS: Final = 20


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
        histograms = (
            (
                middleware.duration_histogram_old,
                middleware.server_response_size_histogram,
                middleware.server_request_size_histogram,
            ),
            (
                middleware.duration_histogram_new,
                middleware.server_response_body_size_histogram,
                middleware.server_request_body_size_histogram,
            ),
        )
        described = (semantics.measured_old, semantics.measured_new)
        self._conventions = [
            _Convention(shown, is_new, *of_one)
            for shown, is_new, of_one in zip(described, (False, True), histograms, strict=True)
            if of_one[0] is not None
        ]
        self._asked = (self._active, *(convention.duration for convention in self._conventions))
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
        for instrument in self._asked:
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
        self._active.add(-1, active)
        fields = metric_attributes(context)
        request_size = content_length(scope["headers"])
        for convention in self._conventions:
            shown = convention.shown(attributes, scope)
            if convention.is_new:
                convention.duration.record(max(seconds, 0), {**fields, **route, **shown}, context)
            else:
                timed = {**fields, **shown} if fields else shown
                convention.duration.record(max(round(seconds * 1000), 0), timed, context)
            if response_size is not None and convention.response_size is not None:
                convention.response_size.record(response_size, shown, context)
            if request_size is not None and convention.request_size is not None:
                convention.request_size.record(request_size, shown, context)


def content_length(headers: Any) -> int | None:
    """Return the number that the first ``content-length`` of *headers* gives, if it is one."""
    if isinstance(headers, Iterator):
        return None  # it can be read once, which is for the server to do
    for name, value in headers or ():
        if len(name) == 14 and bytes(name).lower() == b"content-length":
            return int(value) if len(value) < _MOST_DIGITS and bytes(value).isdigit() else None
    return None
