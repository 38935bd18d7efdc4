"""The recipe and otelctx are compared because the same is seen of them: span, baggage and log line."""

from __future__ import annotations

import json
import subprocess
import sys
from textwrap import dedent

import pytest

pytest.importorskip("opentelemetry.processor.baggage")

SCRIPT = """
import io, json, logging, sys
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import get_tracer_provider
from benchmarks.cases import request
from benchmarks.cases.asgi import serving

whose = sys.argv[1]
exporter, lines, sent = InMemorySpanExporter(), io.StringIO(), []
inject = getattr(request, f"inject_by_{whose}")

def injecting(_):
    headers = {}
    inject(headers)
    sent.append(headers)

app = getattr(request, f"of_{whose}")(
    request.calling_with(injecting), options={"exporter": exporter}, handler=logging.StreamHandler(lines)
)
answers = []

async def answering(scope, receive, send):
    async def noting(message):
        answers.append(message)
        await send(message)
    await app(scope, receive, noting)

serving(answering)(1)
get_tracer_provider().force_flush()
spans = {
    span.kind.name: {
        "name": span.name,
        "attributes": dict(span.attributes),
        "trace": format(span.context.trace_id, "032x"),
        "parent": span.parent and span.parent.is_remote,
    }
    for span in exporter.get_finished_spans()
}
echoed = [value.decode() for name, value in answers[0]["headers"] if name == b"x-request-id"]
print(json.dumps({"spans": spans, "line": lines.getvalue(), "sent": sent, "echoed": echoed}))
"""


@pytest.fixture(scope="module")
def seen():
    def run(whose):
        command = [sys.executable, "-c", dedent(SCRIPT), whose]
        return json.loads(subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout)

    return run("recipe"), run("ours")


@pytest.mark.parametrize("kind", ["SERVER", "CLIENT"])
def test_the_spans_are_the_same(seen, kind):
    theirs, ours = (one["spans"][kind] for one in seen)

    assert theirs["attributes"]["request_id"]
    # Baggage calls a field by its name, and a span of ours by its attribute.
    if "user_id" in theirs["attributes"]:
        theirs["attributes"]["user.id"] = theirs["attributes"].pop("user_id")
    assert {**theirs, "attributes": None} == {**ours, "attributes": None}
    assert theirs["attributes"].items() <= ours["attributes"].items()
    assert all(key.startswith("otelctx.") for key in ours["attributes"].keys() - theirs["attributes"].keys())


def test_the_log_line_says_the_same(seen):
    theirs, ours = (one["line"].split(" [", 1)[1] for one in seen)

    def without_span(line):
        before, after = line.split("span_id=")
        return before, after[16:]

    assert without_span(theirs) == without_span(ours)
    assert "alice" in ours


def test_the_same_leaves(seen):
    theirs, ours = (one["sent"][0] for one in seen)

    assert sorted(theirs["baggage"].split(",")) == sorted(ours["baggage"].split(","))
    assert theirs["traceparent"][:36] == ours["traceparent"][:36]


def test_the_id_is_echoed_by_both(seen):
    assert [one["echoed"] for one in seen] == [["8b6c1d0a-4a3e-4f0b-9d1e-2f7c5a9e6b34"]] * 2
