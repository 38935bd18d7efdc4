"""The span of a request has the name and attributes that OpenTelemetry's ASGI instrumentation gives it."""

from __future__ import annotations

from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st
from opentelemetry.instrumentation._semconv import _StabilityMode
from opentelemetry.instrumentation.asgi import collect_request_attributes, get_default_span_details

from otelctx.integrations.asgi.headers import Headers
from otelctx.integrations.asgi.semantics import Semantics

MODES = [_StabilityMode.DEFAULT, _StabilityMode.HTTP, _StabilityMode.HTTP_DUP]

hosts = st.one_of(
    st.sampled_from(
        ["localhost", "example.com:8080", "user:secret@example.com", "ho?st", "ho#st=1&a=b", "[::1]:80", ""]
    ),
    st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=12),
)
paths = st.one_of(
    st.sampled_from(
        ["/", "/orders/1", "//double", "/a@b", "/a b", "/ünï", "/a?b=c", "/otelctx-mark-of-the-path", "", "*"]
    ),
    st.text(max_size=8).map(lambda text: "/" + text),
)
agents = st.sampled_from(["curl/8", "Mozilla/5.0", "googlebot/2.1", "AlwaysOn-probe", "", "otelctx-mark"])
headers = st.lists(
    st.one_of(
        hosts.map(lambda host: (b"host", host.encode("latin-1"))),
        hosts.map(lambda host: (b"Host", host.encode("latin-1"))),
        agents.map(lambda agent: (b"user-agent", agent.encode())),
        st.just((b"accept", b"*/*")),
    ),
    max_size=4,
)
addresses = st.one_of(
    st.none(), st.tuples(st.sampled_from(["127.0.0.1", "::1", "", "testclient"]), st.integers(0, 65535))
)
scopes = st.fixed_dictionaries(
    {
        "type": st.just("http"),
        "method": st.sampled_from(["GET", "get", "POST", "BREW", ""]),
        "path": paths,
        "query_string": st.sampled_from([b"", b"", b"a=1", b"sig=secret&x=%20", b"%ff"]),
        "headers": headers,
        "client": addresses,
        "server": st.one_of(st.none(), st.tuples(st.just("10.1.2.3"), st.sampled_from([80, 8000]))),
        "scheme": st.sampled_from(["http", "https"]),
        "http_version": st.sampled_from(["1.1", "2"]),
        "root_path": st.sampled_from(["", "/v1"]),
    }
)

# One for all examples, as a server has it: what is learnt of one request must be right for the next.
learnt = {mode: Semantics(mode).descriptions for mode in MODES}


def opentelemetrys(scope: dict[str, Any], mode: Any) -> tuple[str, dict[str, Any]]:
    name, attributes = get_default_span_details(scope)
    return name, {**collect_request_attributes(scope, mode), **attributes}


@given(scopes, st.sampled_from(MODES))
@example(
    {
        "type": "http",
        "method": "GET",
        "path": "/a",
        "query_string": b"",
        "headers": [(b"host", b"ho?st")],
        "client": ("::1", 9),
        "server": None,
        "scheme": "http",
        "http_version": "1.1",
    },
    _StabilityMode.DEFAULT,
)
def test_they_are_what_opentelemetry_says(scope: dict[str, Any], mode: Any) -> None:
    def outcome(describe: Any, *arguments: Any) -> object:
        try:
            return describe(scope, *arguments)
        except UnicodeDecodeError as error:
            return type(error)

    assert outcome(opentelemetrys, mode) == outcome(learnt[mode].of, Headers(scope))


def test_a_scope_with_little_in_it_is_described_too() -> None:
    scope: dict[str, Any] = {"type": "http", "headers": [], "path": "/x"}

    assert opentelemetrys(scope, _StabilityMode.DEFAULT) == learnt[_StabilityMode.DEFAULT].of(scope, Headers(scope))


def test_a_flood_of_hosts_and_agents_takes_no_more_memory_than_its_bound() -> None:
    descriptions = Semantics(_StabilityMode.DEFAULT).descriptions
    for number in range(2_000):
        headers = [(b"host", b"h%d" % number), (b"user-agent", b"a%d" % number)]
        scope = {"type": "http", "method": "GET", "path": "/", "headers": headers, "query_string": b""}
        descriptions.of(scope, Headers(scope))

    assert len(descriptions._kinds) <= 256
    assert len(descriptions._agents) <= 256


def test_what_one_request_does_with_its_attributes_is_not_seen_by_the_next() -> None:
    descriptions = Semantics(_StabilityMode.DEFAULT).descriptions
    scope: dict[str, Any] = {"type": "http", "method": "GET", "path": "/", "headers": [(b"user-agent", b"x")]}
    descriptions.of(scope, Headers(scope))[1]["http.status_code"] = 500

    assert opentelemetrys(scope, _StabilityMode.DEFAULT) == descriptions.of(scope, Headers(scope))
