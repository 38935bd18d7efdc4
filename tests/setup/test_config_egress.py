"""The section `[otelctx.egress]`: from a file to what goes out, and each mistake explained."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from otelctx.errors import ConfigError
from otelctx.propagation import egress
from otelctx.propagation.destination import parse
from otelctx.propagation.egress import ALL, NOTHING, OWN, EgressPolicy
from otelctx.setup import fail_closed
from otelctx.setup.config import apply, load


@pytest.fixture(autouse=True)
def _as_shipped() -> Iterator[None]:
    before = egress.replace(EgressPolicy())
    yield
    egress.replace(before)


def policy(tmp_path: Path, text: str) -> EgressPolicy:
    (tmp_path / "otelctx.toml").write_text(text)
    settings = load({"HOME": str(tmp_path)}, tmp_path)
    apply(settings)
    return egress.policy()


def problems(tmp_path: Path, text: str) -> list[str]:
    with pytest.raises(ConfigError) as raised:
        policy(tmp_path, text)
    return [line.removeprefix(f"{tmp_path}/otelctx.toml: otelctx.egress") for line in str(raised.value).splitlines()]


class TestWhatIsConfigured:
    def test_rules_in_their_order_and_the_default_ones_after_them(self, tmp_path: Path) -> None:
        found = policy(
            tmp_path,
            """
            [[otelctx.egress.rules]]
            to = ["api.example.com", "*.corp.example"]
            fields = ["*"]

            [[otelctx.egress.rules]]
            to = ["10.0.0.0/8"]
            fields = ["request_id", "colour"]

            [[otelctx.egress.rules]]
            to = ["tracker.example"]
            trace = false
            """,
        )
        assert [rule.fields for rule in found.rules] == [ALL, {"request_id", "colour"}, NOTHING, ALL]
        assert [rule.trace for rule in found.rules] == [True, True, False, True]
        assert found.rules[-1] is OWN
        assert found.rules[0].source == f"{tmp_path}/otelctx.toml: otelctx.egress.rules.1"
        assert found.decide(parse("http://a.corp.example")).rule is found.rules[0]

    def test_switches(self, tmp_path: Path) -> None:
        found = policy(
            tmp_path, '[otelctx.egress]\ndefaults = false\ntrace = false\naudit = true\nunknown = ["request_id"]'
        )
        assert (found.rules, found.audit, found.unknown.fields) == ((), True, {"request_id"})
        assert found.decide(parse("http://orders")).trace is False

    def test_nothing_said_leaves_what_is_in_force(self, tmp_path: Path) -> None:
        before = egress.policy()
        assert policy(tmp_path, "[otelctx]\nstrict = false") is before

    def test_the_nearer_source_replaces_the_rules(self, tmp_path: Path) -> None:
        (tmp_path / "pyproject.toml").write_text('[[tool.otelctx.egress.rules]]\nto = ["a.example"]\nfields = []')
        found = policy(tmp_path, '[[otelctx.egress.rules]]\nto = ["b.example"]\nfields = []')
        assert [rule.to[0].text for rule in found.rules[:-1]] == ["b.example"]


class TestMistakes:
    def test_all_at_once(self, tmp_path: Path) -> None:
        assert problems(
            tmp_path,
            """
            [otelctx.fields.step]
            [otelctx.egress]
            audit = 5
            default = false
            unknown = ["step"]

            [[otelctx.egress.rules]]
            to = ["https://api.example.com/v1", "*", "*corp.example", "ok.example"]
            fields = ["*"]

            [[otelctx.egress.rules]]
            to = "api.example.com"
            fields = ["*", "user_id"]

            [[otelctx.egress.rules]]
            fields = ["user_id"]
            trace = false

            [[otelctx.egress.rules]]
            to = ["a.example"]

            [[otelctx.egress.rules]]
            to = []
            field = []
            fields = ["step"]
            """,
        ) == [
            ".audit: expected true or false, got 5",
            ".default: unknown key; did you mean 'defaults'?",
            ".rules.1.to: 'https://api.example.'…: a rule names hosts, not paths; leave out what follows the host",
            ".rules.1.to: '*': '*' would be everyone; name the hosts, or a domain such as '*.corp.example'",
            ".rules.1.to: '*corp.example': '*' stands for whole labels at the start only, as in '*.corp.example'",
            ".rules.2.to: expected a list of hosts, such as ['api.example.com'], got 'api.example.com'",
            ".rules.2.fields: '*' is all fields; leave the others out",
            ".rules.3: it needs hosts, such as to = ['api.example.com']",
            ".rules.3: with trace = false nothing goes there; leave fields or trace out",
            ".rules.4: it needs fields, a list of names, ['*'] for all or [] for none",
            ".rules.5.to: expected a list of hosts, such as ['api.example.com'], got a list",
            ".rules.5.field: unknown key; did you mean 'fields'?",
            ".rules.5.fields: field 'step' is local and never leaves; declare it with remote = true",
            ".unknown: field 'step' is local and never leaves; declare it with remote = true",
        ]

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("[otelctx]\negress = 5", ": expected a table, got 5"),
            ("[otelctx.egress]\nrules = 5", ".rules: expected a list of tables, [[otelctx.egress.rules]], got 5"),
            ("[otelctx.egress]\nrules = [5]", ".rules.1: expected a table, got 5"),
        ],
    )
    def test_of_form(self, tmp_path: Path, text: str, expected: str) -> None:
        assert problems(tmp_path, text) == [expected]

    @pytest.mark.parametrize("text", ['[[otelctx.egress.rules]]\nto = ["*"]', "[otelctx.egres]", "not toml"])
    def test_while_it_is_wrong_nothing_but_the_trace_goes_anywhere(self, tmp_path: Path, text: str) -> None:
        (tmp_path / "otelctx.toml").write_text(text)
        fail_closed.hide({"HOME": str(tmp_path)}, tmp_path)
        assert not egress.policy().decide(parse("http://orders")).fields
