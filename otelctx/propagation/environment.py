"""
The environment of a process as a carrier: its parent writes the request into it, and it goes on in that request.

Only what propagators read and write is in there, and so no local field; the headers of fields are not, since a
variable of such a name may mean something else. The variables of a running process stay as they are.

Source: https://opentelemetry.io/docs/specs/otel/context/env-carriers/
"""

from __future__ import annotations

import re
from collections.abc import Mapping, MutableMapping
from typing import Final

from opentelemetry.context import Context
from opentelemetry.propagators.textmap import Getter, Setter
from opentelemetry.trace import get_current_span

from otelctx.core.registry import registry
from otelctx.core.request import RECEIVED
from otelctx.core.state import current_request
from otelctx.propagation.crossing import propagator
from otelctx.propagation.destination import Destination
from otelctx.propagation.egress import policy
from otelctx.propagation.passage import Passage
from otelctx.propagation.peers import PARENT, with_peer

_OTHER: Final = re.compile("[^0-9A-Z_]")


def variable(key: str) -> str:
    """
    Return the name of the variable for *key*, as "Key Name Normalization" of the specification has it.

    >>> variable("traceparent"), variable("x-b3-traceid")
    ('TRACEPARENT', 'X_B3_TRACEID')
    """
    name = _OTHER.sub("_", key.upper())
    return f"_{name}" if name[:1].isdigit() else name


def variables() -> set[str]:
    """Return the names of all variables that carry a request, as the propagator is configured."""
    return {variable(key) for key in propagator().fields if key.lower() not in registry().headers}


class _EnvironmentSetter(Setter[MutableMapping[str, str]]):
    def set(self, carrier: MutableMapping[str, str], key: str, value: str) -> None:
        if key.lower() not in registry().headers:
            carrier[variable(key)] = value


class _EnvironmentGetter(Getter[Mapping[str, str]]):
    def get(self, carrier: Mapping[str, str], key: str) -> list[str] | None:
        text = "" if key.lower() in registry().headers else carrier.get(variable(key), "")
        return [text] if text else None

    def keys(self, carrier: Mapping[str, str]) -> list[str]:
        return [name.lower() for name in carrier]


_setter: Final = _EnvironmentSetter()
_getter: Final = _EnvironmentGetter()


def to_environment(program: str = "") -> dict[str, str]:
    """Return the variables that carry what is current, and may go, to *program*; its name, without a path."""
    carrier: dict[str, str] = {}
    with Passage(policy().decide(Destination("process", program))):
        propagator().inject(carrier, setter=_setter)
    return carrier


def may_inherit(program: str) -> bool:
    """Tell whether all that this process was started with may go to *program*."""
    return policy().decide(Destination("process", program)).everything


def from_environment(environ: Mapping[str, str]) -> Context | None:
    """
    Return the Context that *environ* brings, with a request in it, or None if it brings none.

    All of it is believed: whoever writes the environment of a process decides what the process is.
    """
    if not any(environ.get(name) for name in variables()):
        return None
    context = propagator().extract(environ, with_peer(Context(), PARENT), _getter)
    request = current_request(context)
    brought = request is not None and (RECEIVED in request.origins.values() or bool(request.carried))
    return context if brought or get_current_span(context).get_span_context().is_valid else None
