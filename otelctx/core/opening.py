"""
Opening a request where no framework did: in a script, a cron job, a consumer.

A request inside a request starts from the outer values and writes to its own cell.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from opentelemetry.context import Context

from otelctx.core.layers import Layer
from otelctx.core.request import AmbientRequest, Request
from otelctx.core.state import current_layer, with_layer

Nested = Literal["inherit", "reuse", "new"]


def open_request(context: Context, values: Mapping[str, object], nested: Nested = "inherit") -> Context:
    """
    Return *context* with a request in it that holds *values*, already accepted.

    Args:
        nested: when *context* is in a request already: ``inherit`` copies its values, ``reuse`` writes to it,
            ``new`` starts with nothing.
    """
    outer = current_layer(context)
    if (
        nested == "reuse"
        and outer is not None
        and outer.request is not None
        and not isinstance(outer.request, AmbientRequest)
    ):
        outer.write(values)
        return with_layer(context, outer)
    if outer is None or nested == "new":
        return with_layer(context, Layer(Request(dict(values))))
    request = Request({**outer.visible(), **values}, outer.undeclared(), outer.properties())
    if outer.request is not None:
        request.origins.update(outer.request.origins)
    return with_layer(context, Layer(request))
