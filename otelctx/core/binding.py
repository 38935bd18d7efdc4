"""
Bindings: give fields a value for the length of a block.

A binding shadows and never overwrites: the outer value is back when the block ends, however it ends. What the block
starts sees it; nobody else does.
"""

from __future__ import annotations

from opentelemetry.context import Context

from otelctx.core.block import Block, Entering
from otelctx.core.here import here
from otelctx.core.layers import Layer
from otelctx.core.request import Request, accepted
from otelctx.core.state import BAGGAGE_KEY, layer_here, with_layer
from otelctx.native import compiled


@compiled
class Binding(Entering):
    """Values, and the Context of a block in which they are seen."""

    __slots__ = ("_values",)

    def __init__(self, /, **values: object) -> None:
        """Prepare a block in which *values* are seen."""
        self._token = None
        self._values = accepted(values)

    def _context(self) -> Context:
        context = here()
        outer = context.get(BAGGAGE_KEY)
        if type(outer) is not Layer or type(outer.request) is not Request:
            outer = layer_here(context)
        return with_layer(context, Layer(None if outer is None else outer.request, outer, self._values.copy()))


class bind(Binding, Block):  # noqa: N801 - it is used as a verb
    """
    Make values visible to everything the block does or starts; None hides an outer value.

    It works as ``with bind(step="charge"):``, as ``async with`` and as the decorator ``@bind(step="charge")`` of a
    function, coroutine function, generator or async generator function.

    Raises:
        UnknownFieldError: in strict mode, for a name that no field declares.

    >>> with bind(step="charge"):
    ...     get("step")
    'charge'
    >>> get("step") is None
    True
    """

    __slots__ = ()

    def _again(self) -> Block:
        block = bind()
        block._values = self._values
        return block
