"""
A boundary: a place where Python runs code later or elsewhere, as a row of the conformance table.

A row opens its boundary once, inside the request of somebody who is not asked about again. So its pool, its loop or its
worker is never the submitter's own, and what it kept of that first request would be seen.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import otelctx

Cross = Callable[..., Awaitable[Any]]
Scenario = Callable[[], Awaitable[None]]
Runner = Callable[[Scenario], None]

# By id; each says what is asked of every boundary, in the words of the table's head.
CLAIMS: Final[Mapping[str, str]] = {
    "value": "value seen",
    "second": "second submitter's value seen",
    "set": "`set` seen back",
    "bind": "`bind` not seen back",
    "clean": "nothing remains",
    "exception": "exception carries",
    "cancel": "cancelled cleanly",
    "vars": "other ContextVars",
    "none": "no request stays none",
}


@dataclass(frozen=True)
class Crossing:
    """
    An opened boundary.

    Attributes:
        cross: runs a job with its arguments on the other side for whoever calls, and returns what it returns.
        cancel: submits something that would never end, and takes it back.
        bare: runs a job where the worker is between two submissions, in whatever context it has then.
        back: returns what the near end of the boundary sees after a crossing.
    """

    cross: Cross
    cancel: Callable[[], Awaitable[None]] | None = None
    bare: Cross | None = None
    back: Callable[[], Mapping[str, object]] = otelctx.current


@dataclass(frozen=True)
class Boundary:
    """
    One row of the table.

    Attributes:
        carries: the other side is in the submitter's request; otherwise it is in none, whoever is there.
        inline: the other side is the submitter's own task, where only a block that is left is put back.
        opens: the other side opens a request for each crossing, and goes on in the one that comes over, if one does.
        without: by claim, why it does not apply.
        since: the first Python that has it.
    """

    group: str
    name: str
    run: Runner
    open: Callable[[], AbstractAsyncContextManager[Crossing]]
    carries: bool = True
    inline: bool = False
    opens: bool = False
    without: Mapping[str, str] = field(default_factory=dict)
    since: tuple[int, int] = (3, 10)

    @property
    def id(self) -> str:
        """The name that tests have it under."""
        return f"{self.group}: {self.name}".replace("`", "")


Opening = Callable[[], AsyncIterator[Crossing]]

NO_REQUEST: Final = "It is nobody's work, and so in no request, whoever causes it."
_ONLY_FOR_REQUESTS: Final = dict.fromkeys(("value", "second", "set", "vars"), NO_REQUEST)


class Rows(list[Boundary]):
    """Rows in the order of the table."""

    def add(
        self,
        group: str,
        name: str,
        run: Runner,
        *,
        carries: bool = True,
        inline: bool = False,
        opens: bool = False,
        since: tuple[int, int] = (3, 10),
        **without: str,
    ) -> Callable[[Opening], Opening]:
        """Return a decorator that adds a row, opened by the async generator function that it decorates."""

        def adding(opening: Opening) -> Opening:
            reasons = without if carries else {**_ONLY_FOR_REQUESTS, **without}
            unknown = reasons.keys() - CLAIMS.keys()
            if unknown:
                raise ValueError(f"Row {name!r} speaks of unknown claims: {unknown}")
            opened = asynccontextmanager(opening)
            self.append(Boundary(group, name, run, opened, carries, inline, opens, reasons, since))
            return opening

        return adding
