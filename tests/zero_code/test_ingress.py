"""
Spoofing, end to end: what strangers send to real servers is not in any span, log record or answer.

Rules make 127.0.0.66 a stranger and leave 127.0.0.1 trusted; a proxy of this machine names public addresses as well.
"""

from __future__ import annotations

import json
import re
import signal
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from websockets.sync.client import connect

from tests.zero_code.wire import STRANGER, TRUSTED, Proxy, exchange, raw_request

RULES = f"""
[otelctx.fields.tenant]
remote = true
header = "x-tenant"

[[otelctx.ingress.rules]]
peers = ["{STRANGER}"]
fields = ["request_id"]
"""

SERVERS = {
    "uvicorn": "uvicorn --port {port} bare:app",
    "uvicorn without proxy headers": "uvicorn --no-proxy-headers --port {port} bare:app",
    "uvicorn that believes all proxies": "uvicorn --forwarded-allow-ips * --port {port} bare:app",
    "hypercorn": "hypercorn --bind 127.0.0.1:{port} --access-logfile - bare:app",
    "granian": "granian --interface asgi --port {port} bare:app",
    "gunicorn": "gunicorn --bind 127.0.0.1:{port} --access-logfile - flask_app:app",
    "werkzeug": "flask --app flask_app run --port {port}",
}
UUID7 = r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"

# Nothing of this may turn up anywhere, except behind a trusted peer.
MARK = "mallory"
TRACE = "0af7651916cd43dd8448eb211c80319c"
FIELDS = [
    f"traceparent: 00-{TRACE}-b7ad6b7169203331-01".encode(),
    f"baggage: user_id={MARK},tenant={MARK},other={MARK}".encode(),
    f"x-tenant: {MARK}".encode(),
]


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("rules") / "otelctx.toml"
    file.write_text(RULES)
    return file


class Server:
    """A service, and who has asked it with which request id."""

    def __init__(self, service: Any) -> None:
        self.service = service
        self.by_id: dict[str, bool] = {}

    def ask(self, *lines: bytes, trusted: bool, source: str = "", port: int = 0) -> str | None:
        """
        Send a request with the mark in all fields, and *lines*.

        Returns:
            the request id of the answer; None where the server refuses.
        """
        sent = raw_request("/items/1", [*FIELDS, *lines])
        answer = exchange(port or self.service.port, sent, source or (TRUSTED if trusted else STRANGER))
        head = answer.partition(b"\r\n\r\n")[0]
        assert MARK.encode() not in answer
        assert b"set-cookie" not in answer
        ids = re.findall(rb"\r\nx-request-id: *([^\r\n]+)", head, re.IGNORECASE)
        if not ids:
            assert head.split(b" ")[1] in {b"400", b"431", b"494"}, head
            return None
        (request_id,) = [found.decode() for found in ids]
        self.by_id[request_id] = trusted
        return request_id

    def check(self, *, tenant: bool = True) -> None:
        """All that trusted peers sent is at the collector, and nothing of the others but their request ids."""
        spans, logs = self.service.spans(), self.service.logs()
        for request_id, trusted in self.by_id.items():
            (span,) = [found for found in spans if found["request_id"] == request_id]
            its_logs = [found for found in logs if found["request_id"] == request_id]
            assert {"app"} <= {found["scope"] for found in its_logs}
            for found in (span, *its_logs):
                assert found["trace_id"] == TRACE
                fields = (found["user_id"], found["attributes"].get("tenant"))
                assert fields == ((MARK, MARK if tenant else None) if trusted else (None, None)), (request_id, found)
        assert MARK not in json.dumps([f for f in (*spans, *logs) if not self.by_id.get(f["request_id"])])
        assert len(spans) == len(self.by_id)


@pytest.fixture(scope="module", params=SERVERS)
def server(request: pytest.FixtureRequest, make_service: Any, rules: Path) -> Server:
    service = make_service(*SERVERS[request.param].split(), instrumentations=("flask",), OTELCTX_CONFIG=str(rules))
    service.wait_until_ready()
    return Server(service)


def named(request_id: str) -> bytes:
    return f"x-request-id: {request_id}".encode()


def test_of_a_stranger_nothing_but_a_valid_request_id_is_adopted(server: Server) -> None:
    ask = server.ask
    assert ask(named("friend"), trusted=True) == "friend"
    assert ask(named("stranger"), trusted=False) == "stranger"
    assert ask(b"X-REQUEST-ID: casing", b"BAGGAGE: user_id=mallory", b"X-Tenant: mallory", trusted=False) == "casing"

    # Naming oneself trusted.
    for number, line in enumerate((
        *(b"x-forwarded-for: 127.0.0.1", b"X-Forwarded-For: 127.0.0.1, 127.0.0.1", b"x-real-ip: 127.0.0.1"),
        *(b"forwarded: for=127.0.0.1;by=127.0.0.1", b"forwarded: for=unix", b"x_forwarded_for: 127.0.0.1"),
        *(b"remote-addr: 127.0.0.1", b"REMOTE_ADDR: 127.0.0.1", b"client: 127.0.0.1", b"otelctx-peer: 127.0.0.1"),
    )):  # fmt: skip
        ask(named(f"claims-{number}"), line, trusted=False)

    # Two ids are nobody's clear word, and two spellings are one where a server makes one variable of them.
    assert ask(named("one"), named("two"), trusted=False) not in {"one", "two", "one,two"}
    assert ask(b"x_request_id: underscored", trusted=False) != "underscored"
    assert ask(named("dashed"), b"x_request_id: underscored", b"x_tenant: mallory", trusted=False) in {"dashed", None}

    # What would be a header, a log line or a lot of memory somewhere else.
    for value in (
        *(b"a\r set-cookie: x=1", b"a\r\n set-cookie: x=1", b"a\x00b", b"a\x1b[31m", b"\xff\xfe", b"\xe2\x80\xa8"),
        *(b"a b", b"a,b", b"a;b", b"<a>", b"a" * 129, b"a" * 6000, b"", b" "),
    ):  # fmt: skip
        adopted = ask(b"x-request-id: " + value, trusted=False)
        assert adopted is None or re.fullmatch(UUID7, adopted), value
    # "A recipient MAY recognize a single LF as a line terminator" (RFC 9112, section 2.2): two headers then.
    ask(b"x-request-id: a\nset-cookie: x=1", trusted=False)
    ask(b"baggage: request_id=a%0d%0aset-cookie:%20x=1", trusted=False)
    ask(named("many-members"), *(b"baggage: k%d=v,user_id=mallory" % n for n in range(40)), trusted=False)
    ask(named("many-headers"), *(b"x-%d: v" % n for n in range(5000)), trusted=False)
    ask(named("many-claims"), *[b"x-forwarded-for: 127.0.0.1"] * 60, trusted=False)
    assert ask(named("still-there"), trusted=True) == "still-there"

    # Behind a proxy that is trusted itself, as every proxy on this machine is.
    for header in ("X-Forwarded-For", "Forwarded", "x-real-ip"):
        with Proxy(server.service.port, header, "203.0.113.66").running() as proxy:
            ask(named(f"public-by-{header}"), trusted=False, source=TRUSTED, port=proxy.port)
            for own in (b"x-forwarded-for: 127.0.0.1", b"forwarded: for=127.0.0.1", b"x-real-ip: 127.0.0.1"):
                ask(named(f"claim-{len(server.by_id)}"), own, trusted=False, source=TRUSTED, port=proxy.port)
        with Proxy(server.service.port, header, "10.0.0.7").running() as proxy:
            ask(named(f"private-by-{header}"), trusted=True, port=proxy.port)
    for garbage in ("unknown", "_hidden", "localhost", "unix", "127.0.0.1 " * 5, "kafka://orders"):
        with Proxy(server.service.port, "X-Forwarded-For", garbage).running() as proxy:
            ask(named(f"garbage-{len(server.by_id)}"), trusted=False, source=TRUSTED, port=proxy.port)

    # werkzeug's server ends at once on SIGTERM, and sends nothing any more.
    server.service.stop(signal.SIGINT)
    server.check()


def test_over_http2_and_with_its_duplicates(start: Any, rules: Path) -> None:
    service = start("hypercorn", "--bind", "127.0.0.1:{port}", "bare:app", OTELCTX_CONFIG=str(rules))
    headers = [*(tuple(line.decode().split(": ", 1)) for line in FIELDS), ("baggage", f"plan={MARK}")]
    ids = {}
    for source in (TRUSTED, STRANGER):
        transport = httpx.HTTPTransport(http1=False, http2=True, local_address=source)
        with httpx.Client(transport=transport, base_url=f"http://127.0.0.1:{service.port}") as client:
            answer = client.get("/items/1", headers=[*headers, ("x-request-id", f"h2-{source}")])
            assert answer.http_version == "HTTP/2"
            ids[source] = answer.headers["x-request-id"]
            twice = client.get("/items/1", headers=[*headers, ("x-request-id", "one"), ("x-request-id", "two")])
            assert re.fullmatch(UUID7, twice.headers["x-request-id"])
            claims = [("x-forwarded-for", "127.0.0.1"), ("x-forwarded-for", "10.0.0.1"), ("forwarded", "for=127.0.0.1")]
            client.get("/items/1", headers=[*headers, ("x-request-id", f"claims-{source}"), *claims])
    service.stop()
    assert ids == {TRUSTED: f"h2-{TRUSTED}", STRANGER: f"h2-{STRANGER}"}
    believed = {span["request_id"]: MARK in json.dumps(span) for span in service.spans()}
    assert believed[ids[TRUSTED]]
    assert not believed[ids[STRANGER]]
    assert believed[f"claims-{TRUSTED}"]
    assert not believed[f"claims-{STRANGER}"]
    assert len(believed) == 6


@pytest.mark.parametrize("server", ["uvicorn --port {port}", "hypercorn --bind 127.0.0.1:{port}"])
def test_in_the_handshake_of_a_websocket(start: Any, rules: Path, server: str) -> None:
    service = start(*server.split(), "shop:app", instrumentations=("fastapi",), OTELCTX_CONFIG=str(rules))
    sent = [tuple(line.decode().split(": ", 1)) for line in FIELDS]
    for source in (TRUSTED, STRANGER):
        headers = [*sent, ("x-request-id", f"ws-{source}"), ("x-forwarded-for", "127.0.0.1")]
        address = f"ws://127.0.0.1:{service.port}/socket"
        with connect(address, additional_headers=headers, source_address=(source, 0)) as client:
            assert client.response is not None
            assert client.response.headers["x-request-id"] == f"ws-{source}"
            client.send("alice")
            assert client.recv() == f"ws-{source}"
    service.stop()
    spans = {span["request_id"]: span for span in service.spans() if span["kind"] == "server"}
    assert spans[f"ws-{TRUSTED}"]["attributes"]["tenant"] == MARK
    for found in (*service.spans(), *service.logs()):
        if found["request_id"] != f"ws-{TRUSTED}":
            assert MARK not in json.dumps(found)


BEHIND_A_PROXY = f"""
[otelctx.ingress]
defaults = false
trusted_proxies = ["{TRUSTED}"]

[[otelctx.ingress.rules]]
peers = ["10.0.0.0/8"]
fields = ["*"]
"""


@pytest.mark.parametrize("name", ["uvicorn", "uvicorn without proxy headers", "hypercorn", "gunicorn", "werkzeug"])
def test_a_trusted_proxy_says_who_the_peer_is(start: Any, tmp_path: Path, name: str) -> None:
    (tmp_path / "otelctx.toml").write_text(BEHIND_A_PROXY)
    config = str(tmp_path / "otelctx.toml")
    server = Server(start(*SERVERS[name].split(), instrumentations=("flask",), OTELCTX_CONFIG=config))
    forged = (b"x-forwarded-for: 10.0.0.8", b"forwarded: for=10.0.0.8", b"x-real-ip: 10.0.0.8")
    for header in ("X-Forwarded-For", "Forwarded", "X-Real-IP"):
        with Proxy(server.service.port, header, "10.0.0.7").running() as proxy:
            server.ask(named(f"inside-{header}"), trusted=True, port=proxy.port)
        with Proxy(server.service.port, header, "203.0.113.66").running() as proxy:
            server.ask(named(f"outside-{header}"), trusted=False, source=TRUSTED, port=proxy.port)
            server.ask(named(f"forged-{header}"), *forged, trusted=False, source=TRUSTED, port=proxy.port)
    # Past the proxy.
    server.ask(named("direct"), trusted=False)
    for number, line in enumerate(forged):
        server.ask(named(f"direct-{number}"), line, trusted=False)
    server.service.stop(signal.SIGINT)
    server.check(tenant=False)


def test_of_a_grpc_call(start: Any, tmp_path: Path) -> None:
    (tmp_path / "otelctx.toml").write_text(RULES.replace(STRANGER, TRUSTED))
    local = f"unix:{tmp_path}/grpc"
    service = start(
        *("python", "grpc_app.py", "127.0.0.1:{port}", local),
        instrumentations=("grpc_server",),
        OTELCTX_CONFIG=str(tmp_path / "otelctx.toml"),
    )
    sent = [tuple(line.decode().split(": ", 1)) for line in FIELDS]
    for request_id, target in (("stranger", f"127.0.0.1:{service.port}"), ("friend", local)):
        with grpc.insecure_channel(target) as channel:
            metadata = [*sent, ("x-request-id", request_id), ("x-forwarded-for", "10.0.0.1")]
            assert channel.unary_unary("/s/Answer")(b"", metadata=metadata, timeout=30) == b"ok"
    service.stop()
    found = {span["request_id"]: span for span in service.spans()}
    assert set(found) == {"stranger", "friend"}
    assert (found["friend"]["user_id"], found["friend"]["attributes"]["tenant"]) == (MARK, MARK)
    assert [log["user_id"] for log in service.logs(request_id="friend")] == [MARK]
    assert MARK not in json.dumps([found["stranger"], service.logs(request_id="stranger")])
    assert len(service.logs(request_id="stranger")) == 1
