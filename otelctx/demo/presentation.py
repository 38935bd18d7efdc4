"""
What the demo says: progress to standard error, results to standard output.

On a terminal progress is one line that changes; elsewhere it is plain lines, and the output stays free of it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from otelctx.demo.stack import Stack
from otelctx.demo.traffic import Answer
from otelctx.story.assembly import assemble
from otelctx.story.records import Attributes
from otelctx.story.rendering import render_story

if TYPE_CHECKING:
    from typing_extensions import Self


class Presentation:
    """One run's output; as JSON, standard output has one object and nothing else."""

    def __init__(self, *, as_json: bool = False) -> None:
        """Print as JSON when *as_json*, else for a reader."""
        self._as_json = as_json
        self._out = Console()
        self._err = Console(stderr=True)
        self._line = self._err.status("starting")

    def __enter__(self) -> Self:
        """Return itself; progress is shown from the first that there is."""
        return self

    def __exit__(self, *_: object) -> None:
        """Take the progress line away."""
        self._line.stop()

    def progress(self, what: str) -> None:
        """Say *what* is being waited for, until the next output."""
        if self._err.is_terminal:
            self._line.update(what)
            self._line.start()
        else:
            self._err.print(f"demo: {what}", highlight=False, markup=False, soft_wrap=True)

    def show(self, answers: Sequence[Answer], story: Attributes) -> None:
        """Print the requests and the story of the first one."""
        self._line.stop()
        if self._as_json:
            print(json.dumps({"requests": [_summary(answer) for answer in answers], "story": story}))  # noqa: T201
            return
        requests = Table(title="What was sent to the gateway, all at once", title_justify="left", box=None)
        for name in ("user", "what", "status", "x-request-id"):
            requests.add_column(name, no_wrap=True)
        for answer in answers:
            visit = answer.visit
            requests.add_row(visit.user_id, visit.title, _status(visit.status), answer.request_id)
        self._out.print(Padding(requests, (1, 0)))
        self._out.print(f"The story of the first one, in which {answers[0].visit.user_id} {answers[0].visit.title}:\n")
        render_story(self._out, assemble(story))

    def hint(self) -> None:
        """Print what to do next."""
        if not self._as_json:
            self._out.print(
                "\nNext: 'make demo KEEP=1' or 'otelctx demo --keep' leaves it running, for requests of yours."
            )

    def invite(self, stack: Stack) -> None:
        """Print where everything is and what to try; it is no part of the JSON."""
        self._line.stop()
        out = self._err if self._as_json else self._out
        addresses = Table(box=None, show_header=False)
        for name, url in (
            ("web page", stack.collector_url),
            ("gateway", stack.gateway_url),
            ("orders", stack.orders_url),
            ("inventory", stack.inventory_url),
            ("logs", str(stack.directory)),
        ):
            addresses.add_row(name, url)
        out.print(Padding(addresses, (1, 0)))
        curl = (
            f"curl -i {stack.gateway_url}/checkout -H 'authorization: Bearer alice-token' "
            """-H 'content-type: application/json' -d '{"sku": "book"}'"""
        )
        for line in ("Try:", curl, f"otelctx story --last --collector {stack.collector_url}", "Ctrl-C ends it."):
            out.print(line, highlight=False, markup=False, soft_wrap=True)


def _summary(answer: Answer) -> dict[str, object]:
    visit = answer.visit
    return {
        "user_id": visit.user_id,
        "method": visit.method,
        "path": visit.path,
        "status": visit.status,
        "request_id": answer.request_id,
    }


def _status(status: int) -> Text:
    refused, failed = 400, 500
    return Text(str(status), "green" if status < refused else "yellow" if status < failed else "red")
