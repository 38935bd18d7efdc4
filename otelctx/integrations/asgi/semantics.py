"""
Semantic conventions: what the installed OpenTelemetry ASGI instrumentation says of a request, a status, a metric.

Nothing of it is written down here. What the instrumentation says is asked, kept where it is the same for many
requests, and used. Where it has not got the functions that are asked, there are no semantics, and it serves itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from opentelemetry.instrumentation import asgi
from opentelemetry.instrumentation._semconv import _StabilityMode
from opentelemetry.semconv._incubating.attributes.http_attributes import HTTP_TARGET
from opentelemetry.trace import INVALID_SPAN_CONTEXT, NonRecordingSpan, Status, StatusCode
from opentelemetry.util.types import AnyValue

from otelctx.integrations.asgi.descriptions import Descriptions
from otelctx.integrations.asgi.types import Scope

# Checked with 0.61b0 to 0.66b1.
_NEEDED: Final = (
    *("collect_request_attributes", "set_status_code", "get_host_port_url_tuple"),
    *("_parse_duration_attrs", "_parse_active_request_count_attrs", "_collect_target_attribute"),
)


class Answer(NamedTuple):
    """What a status code means: attributes of the span, its status if that is set, attributes of metrics."""

    attributes: dict[str, AnyValue]
    status: Status | None
    metric_attributes: dict[str, Any]


class _Asked(NonRecordingSpan):
    """A span that keeps what it is told of a status."""

    def __init__(self) -> None:
        super().__init__(INVALID_SPAN_CONTEXT)
        self.told: dict[str, AnyValue] = {}
        self.status: Status | None = None

    def is_recording(self) -> bool:
        return True

    def set_attribute(self, key: str, value: AnyValue) -> None:
        self.told[key] = value

    def set_status(self, status: Status | StatusCode, description: str | None = None) -> None:
        self.status = status if isinstance(status, Status) else Status(status, description)


class _Names:
    """The names of the attributes that a metric has; *ask* returns those of some attributes, and each is asked once."""

    def __init__(self, ask: Callable[[dict[str, Any]], Any]) -> None:
        self._ask = ask
        # Names are the conventions' own, so they are few.
        self._has: dict[str, bool] = {}

    def of(self, attributes: Mapping[str, Any]) -> dict[str, Any]:
        """Return those of *attributes* that the metric has."""
        has = self._has
        try:
            return {name: value for name, value in attributes.items() if has[name]}
        except KeyError:
            has.update({name: name in self._ask({name: ""}) for name in attributes if name not in has})
            return {name: value for name, value in attributes.items() if has[name]}


class Semantics:
    """The conventions in one stability mode, for HTTP requests."""

    def __init__(self, mode: Any) -> None:
        """Ask in *mode*, OpenTelemetry's own object for it."""
        self._mode = mode
        self._answers: dict[int, Answer] = {}
        parse = asgi._parse_duration_attrs  # noqa: SLF001 - _NEEDED
        self._active = _Names(lambda asked: asgi._parse_active_request_count_attrs(asked, mode))  # noqa: SLF001 - _NEEDED
        self._old = _Names(lambda asked: parse(asked, _StabilityMode.DEFAULT))
        self._new = _Names(lambda asked: parse(asked, _StabilityMode.HTTP))
        self.descriptions = Descriptions(self.describe)

    def describe(self, scope: Scope) -> tuple[str, dict[str, Any]]:
        """Return what OpenTelemetry says of the request of *scope*: the name of its span, and its attributes."""
        given: Any = scope
        name, more = asgi.get_default_span_details(given)
        return name, {**asgi.collect_request_attributes(given, self._mode), **more}

    def answer(self, status: Any) -> Answer:
        """Return what *status*, as an application gives it, means."""
        known = self._answers.get(status) if type(status) is int else None
        if known is None:
            asked = _Asked()
            metric_attributes: dict[str, Any] = {}
            asgi.set_status_code(asked, status, metric_attributes, self._mode)
            # To set a status that is unset changes nothing:
            # https://opentelemetry.io/docs/specs/otel/trace/api/#set-status
            told = None if asked.status is None or asked.status.is_unset else asked.status
            known = Answer(asked.told, told, metric_attributes)
            if type(status) is int and 100 <= status < 1000:
                self._answers[status] = known
        return known

    def active(self, attributes: Mapping[str, Any]) -> dict[str, Any]:
        """Return those of *attributes* that the number of active requests has."""
        return self._active.of(attributes)

    def measured_old(self, attributes: Mapping[str, Any], scope: Scope) -> dict[str, Any]:
        """Return those of *attributes* that durations and sizes have by the old conventions, and the target."""
        shown = self._old.of(attributes)
        given: Any = scope
        target = asgi._collect_target_attribute(given)  # noqa: SLF001 - _NEEDED
        if target:
            shown[HTTP_TARGET] = target
        return shown

    def measured_new(self, attributes: Mapping[str, Any], _: Scope) -> dict[str, Any]:
        """Return those of *attributes* that durations and sizes have by the new conventions."""
        return self._new.of(attributes)


def semantics_of(middleware: Any) -> Semantics | None:
    """Return the conventions that *middleware*, OpenTelemetry's, follows; None if they cannot be asked for."""
    mode = getattr(middleware, "_sem_conv_opt_in_mode", None)
    return Semantics(mode) if mode is not None and all(hasattr(asgi, name) for name in _NEEDED) else None
