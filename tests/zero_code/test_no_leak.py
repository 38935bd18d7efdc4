"""
No leak: what an application under load sends, through every client it has, to a trusted and to an untrusted server.

Each request has values that nothing else contains. The trusted server must receive those of the request that calls it,
and the untrusted one no byte of any.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from tests.clients.grpc_server import serving_grpc
from tests.clients.server import Received, Server, serving, serving_http2
from tests.zero_code.apps import telltale

CLIENTS = 15
REQUESTS = 680  # times 15 clients, it is over 10,000 calls, each to both servers
AT_ONCE = 4
INSTRUMENTATIONS = (
    *("aiohttp-client", "botocore", "grpc_aio_client", "grpc_client"),
    *("httpx", "requests", "starlette", "urllib", "urllib3"),
)
UNTRUSTED = "127.0.0.9"
CONFIGURATION = f"""
[otelctx.fields.tenant]
remote = true
header = "x-tenant"

[[otelctx.egress.rules]]
to = ["{UNTRUSTED}"]
fields = []
"""


class Judging(Server):
    """A server that keeps of each request whose it is, and what is wrong with it."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.seen: Counter[str] = Counter()
        self.wrong: list[str] = []

    def answer_to(self, received: Received) -> Any:
        path, _, target = received.path.partition("?")
        whose = f"/{'/'.join(target.split('/')[3:])}" if path == "/to" else path.removesuffix("/unary_unary")
        number = int(whose.rpartition("/")[2])
        wrong = self.judge(received, telltale.values(number))
        with self.lock:
            self.seen[whose] += 1
            self.wrong += [f"{received.path}: {reason}" for reason in wrong]
        return (302, {"location": target}) if path == "/to" else (200, {})

    def judge(self, received: Received, values: dict[str, str]) -> Iterator[str]:
        raise AssertionError("which of the two is it?")


class Trusted(Judging):
    """Misses anything that is not there."""

    def judge(self, received: Received, values: dict[str, str]) -> Iterator[str]:
        members = dict(member.split("=", 1) for text in received.texts("baggage") for member in text.split(","))
        if {name: unquote(text) for name, text in members.items()} != values:
            yield f"its baggage is {members}"
        for header, name in (("x-request-id", "request_id"), ("x-tenant", "tenant")):
            if received.texts(header) != [values[name]]:
                yield f"its {header} is {received.texts(header)}"
        if len(received.texts("traceparent")) != 1:
            yield "it has no trace"


class Untrusted(Judging):
    """Finds anything that should not be there, in whatever header, method, path or body."""

    def judge(self, received: Received, values: dict[str, str]) -> Iterator[str]:
        everything = json.dumps([received.path, received.headers, received.body.decode("latin-1")])
        for name, text in values.items():
            if text in everything:
                yield f"it has the {name}"
        for header in ("baggage", "x-request-id", "x-tenant"):
            if received.texts(header):
                yield f"it has {header}: {received.texts(header)}"
        if len(received.texts("traceparent")) != 1:
            yield "it has no trace"


Places = dict[str, tuple[Any, Any]]


@pytest.fixture
def places() -> Iterator[Places]:
    with ExitStack() as stack:
        yield {
            protocol: (
                stack.enter_context(serve("127.0.0.1", kind=Trusted)),
                stack.enter_context(serve(UNTRUSTED, kind=Untrusted)),
            )
            for protocol, serve in (("http", serving), ("http2", serving_http2), ("grpc", serving_grpc))
        }


def total(servers: list[Judging]) -> Counter[str]:
    return sum((server.seen for server in servers), Counter[str]())


def test_of_ten_thousand_calls_the_untrusted_server_sees_no_field_and_the_trusted_one_all(
    start: Callable[..., Any], places: Places, tmp_path: Path
) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "otelctx.toml").write_text(CONFIGURATION)
    service = start(
        # On a busy machine more than uvicorn's five seconds may pass between two requests of a connection.
        *("uvicorn", "calling:app", "--port", "{port}", "--no-access-log", "--timeout-keep-alive", "600"),
        cwd=tmp_path,
        instrumentations=INSTRUMENTATIONS,
        # Half of the traces are not sampled, and nobody looks at the others.
        OTEL_TRACES_SAMPLER="traceidratio",
        OTEL_TRACES_SAMPLER_ARG="0.5",
        OTEL_TRACES_EXPORTER="none",
        OTEL_METRICS_EXPORTER="none",
        OTEL_LOGS_EXPORTER="none",
        PLACES=json.dumps(
            {protocol: (trusted.url, untrusted.url) for protocol, (trusted, untrusted) in places.items()}
        ),
    )
    numbers = range(REQUESTS)
    requests = [(f"/{number}", {"x-request-id": telltale.value("request_id", number)}) for number in numbers]
    shares = [requests[first::AT_ONCE] for first in range(AT_ONCE)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = [answer for share in pool.map(service.get_all, shares) for answer in share]
    assert {answer.status for answer in answers} == {200}, service.output[-5000:]
    clients = answers[0].body.decode().split(",")
    assert len(clients) == CLIENTS

    trusted, untrusted = ([pair[side] for pair in places.values()] for side in (0, 1))
    wrong = [problem for server in (*trusted, *untrusted) for problem in server.wrong]
    assert wrong == [], f"{len(wrong)} of them"
    expected = Counter(f"/{client}/{number}" for client in clients for number in numbers)
    assert expected.total() > 10_000
    assert total(trusted) == expected
    assert total(untrusted) == expected
    assert "otelctx" not in service.output, service.output[-5000:]
