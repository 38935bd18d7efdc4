"""Explanations say what `inject` does, for every kind of rule, field and destination."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from opentelemetry import baggage
from opentelemetry.context import attach

from otelctx import Field, declare, inject, request
from otelctx.core.redaction import MASK, use_keys
from otelctx.propagation import egress, sealing
from otelctx.propagation.codec import decode
from otelctx.propagation.egress import NOTHING, EgressPolicy, Rule
from otelctx.propagation.explanation import explain
from otelctx.propagation.pattern import parse_pattern
from otelctx.propagation.seal import Sealer
from otelctx.propagation.sealing import Sealed

VALUES = {"request_id": "r1", "user_id": "alice", "tenant": "acme", "card": "4111", "email": "a@b.c", "secret": "s3"}


def rule(*to: str, fields: frozenset[str] = NOTHING, trace: bool = True) -> Rule:
    return Rule(tuple(map(parse_pattern, to)), fields, trace, "a file: egress.rules.1")


POLICIES = {
    "default": EgressPolicy(),
    "some fields": EgressPolicy((rule("*.example.com", "orders", fields=frozenset({"tenant", "card", "colour"})),)),
    "no trace": EgressPolicy((rule("*.example.com", "orders", trace=False),)),
    "only one's own rules": EgressPolicy((rule("kafka://orders", fields=frozenset({"user_id"})),), defaults=False),
    "something for the unknown": EgressPolicy(unknown=frozenset({"request_id", "email"})),
    "no trace elsewhere": EgressPolicy(trace=False),
}
URLS = ["https://api.example.com", "http://orders:8000", "https://stripe.com", "http://127.1", "kafka://orders"]


@pytest.fixture(autouse=True)
def _declared() -> Iterator[None]:
    declare(
        Field("tenant", remote=True, header="x-tenant"),
        Field("card", remote=True, redact={"wire": "mask"}),
        Field("email", remote=True, redact="hash", key="mail"),
        Field("secret", remote=True, header="x-secret", redact="drop"),
        Field("step"),
    )
    use_keys([b"k" * 32])
    before = egress.replace(EgressPolicy())
    yield
    egress.replace(before)
    sealing.replace(None)


@pytest.mark.parametrize("url", URLS)
@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
def test_what_it_says_is_what_is_sent(policy: EgressPolicy, url: str) -> None:
    egress.replace(policy)
    headers: dict[str, str] = {}
    with request(**VALUES, step="charge"):
        attach(baggage.set_baggage("colour", "red", baggage.set_baggage("size", "5")))
        inject(headers, destination=url)
    told = explain(url)
    keys = {"email": "mail"}
    others = {"colour", "size"} if told.undeclared else set()
    members = {member.split("=")[0]: member.split("=")[1] for member in headers.get("baggage", "").split(",") if member}
    sent = {verdict.field: verdict for verdict in told.fields if verdict.form is not None}
    assert {keys.get(name, name) for name in sent} == members.keys() - others
    assert told.undeclared == ("size" in members)
    assert {header for verdict in sent.values() for header in verdict.headers} == headers.keys()
    assert {name for name, verdict in sent.items() if verdict.form == "masked"} == {
        name for name, value in members.items() if value == MASK
    }
    assert {keys.get(name, name) for name, verdict in sent.items() if verdict.form == "hashed"} == {
        name for name, value in members.items() if value.startswith("hmac:")
    }


def test_encrypted_fields_leave_in_baggage_alone() -> None:
    sealing.replace(Sealer([b"s" * 32], "shop", encrypts=True))
    verdicts = {verdict.field: verdict for verdict in explain("http://orders").fields}
    assert (verdicts["tenant"].form, verdicts["tenant"].headers) == ("encrypted", ("baggage",))
    assert (verdicts["request_id"].form, verdicts["request_id"].headers) == ("clear", ("baggage", "x-request-id"))


@pytest.mark.parametrize("url", URLS)
@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
@pytest.mark.parametrize("id_stays", [False, True])
def test_of_encrypted_fields_what_it_says_is_what_is_sent(policy: EgressPolicy, url: str, id_stays: bool) -> None:
    if id_stays:
        declare(Field("request_id", remote=True, header="x-request-id", redact={"wire": "drop"}))
    sealing.replace(Sealer([b"s" * 32], "shop", encrypts=True))
    egress.replace(policy)
    headers: dict[str, str] = {}
    with request(**VALUES, step="charge"):
        attach(baggage.set_baggage("colour", "red", baggage.set_baggage("size", "5")))
        inject(headers, destination=url)
    told = explain(url)
    came = decode([headers.get("baggage", "")])
    seal = sealing.sealer()
    opened = seal.opened(*came) if seal is not None and came[0] else None
    members = opened.members if isinstance(opened, Sealed) else {}
    sent = {{"email": "mail"}.get(verdict.field, verdict.field) for verdict in told.fields if verdict.form}
    assert sent == members.keys() - ({"colour", "size"} if told.undeclared else set())
    assert told.undeclared == ("size" in members)
    assert {header for verdict in told.fields for header in verdict.headers} == headers.keys()


def test_the_trace_is_said_as_the_policy_has_it() -> None:
    egress.replace(POLICIES["no trace"])
    assert [explain(url).trace for url in URLS] == [False, False, True, True, True]


@pytest.mark.parametrize(
    ("policy", "url", "decided_by"),
    [
        ("default", "http://10.1.2.3/x", "the default rule (10.0.0.0/8)"),
        ("default", "http://orders", "the default rule (names of one label)"),
        ("default", "https://user:pw@STRIPE.com./x", "no rule names it"),
        ("some fields", "https://a.example.com", "a file: egress.rules.1 (*.example.com)"),
    ],
)
def test_the_rule_and_the_pattern_that_decided(policy: str, url: str, decided_by: str) -> None:
    egress.replace(POLICIES[policy])
    assert explain(url).decided_by == decided_by


def test_why_each_field_stays() -> None:
    egress.replace(POLICIES["some fields"])
    assert {verdict.field: verdict.why for verdict in explain("https://a.example.com").fields} == {
        "request_id": "the rule does not name it",
        "user_id": "the rule does not name it",
        "tenant": "the rule names it",
        "card": "the rule names it",
        "email": "the rule does not name it",
        "secret": "its redaction drops it on the wire",
        "step": "it is local and never leaves",
        "colour": "the rule names it",
    }
