"""`[otelctx.ingress]`: what is read from it, and what a mistake in it does."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from otelctx.errors import ConfigError
from otelctx.propagation import ingress
from otelctx.propagation.ingress import EVERYTHING, STRANGER, Ingress, Mode, Trust
from otelctx.propagation.peers import peer_at
from otelctx.setup import config, fail_closed

PEERS = "addresses, networks, 'private', 'unix', 'unknown', '*', message sources such as 'kafka://orders', or names"
TOML = """
[otelctx.ingress]
trusted_proxies = ["127.0.0.1"]
[[otelctx.ingress.rules]]
peers = ["198.51.100.0/24"]
trace = "restart"
baggage = "ignore"
[[otelctx.ingress.rules]]
peers = ["*"]
fields = ["*"]
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / ".git").mkdir()
    return tmp_path


def load(project: Path, text: str) -> Ingress:
    (project / "otelctx.toml").write_text(dedent(text))
    policy = config.load({}, project).ingress
    assert policy is not None
    return policy


def problems(project: Path, text: str) -> list[str]:
    (project / "otelctx.toml").write_text(dedent(text))
    with pytest.raises(ConfigError) as raised:
        config.load({}, project)
    return [line.replace(f"{project}/otelctx.toml: otelctx.ingress", "…") for line in str(raised.value).splitlines()]


def test_rules_and_proxies(project: Path) -> None:
    policy = load(project, TOML)
    assert policy.of_named("198.51.100.9") == Trust(Mode.RESTART, Mode.IGNORE, STRANGER.fields)
    assert policy.of_named("8.8.8.8") == EVERYTHING
    assert policy.trusted_proxies is not None
    assert peer_at("127.0.0.1") in policy.trusted_proxies


def test_without_a_section_the_policy_stays_as_it_is(project: Path) -> None:
    (project / "otelctx.toml").write_text("[otelctx]\nstrict = true\n")
    own = Ingress(defaults=False)
    ingress.replace(own)
    config.apply(config.load({}, project))
    assert ingress.ingress() is own


def test_it_is_applied(project: Path) -> None:
    (project / "pyproject.toml").write_text("[tool.otelctx.ingress]\ndefaults = false\n")
    config.apply(config.load({}, project))
    assert ingress.ingress().of_named("127.0.0.1") == STRANGER


def test_a_later_source_replaces_key_by_key(project: Path) -> None:
    (project / "pyproject.toml").write_text(TOML.replace("otelctx.", "tool.otelctx."))
    (project / "otelctx.toml").write_text("[otelctx.ingress]\nrules = []\n")
    policy = config.load({}, project).ingress
    assert policy is not None
    assert policy.of_named("8.8.8.8") == STRANGER
    assert policy.trusted_proxies is not None


def test_opentelemetrys_file(project: Path) -> None:
    (project / "otel.yaml").write_text(
        dedent("""
        file_format: "1.0"
        instrumentation/development:
          python:
            otelctx:
              ingress:
                defaults: false
                rules:
                  - peers: ["${OTELCTX_TEST_PEER:-10.1.1.1}"]
                    fields: ["*"]
        """)
    )
    policy = config.load({"OTEL_CONFIG_FILE": "otel.yaml"}, project).ingress
    assert policy is not None
    assert policy.of_named("10.1.1.1") == EVERYTHING
    assert policy.of_named("10.1.1.2") == STRANGER


def test_every_mistake_in_one_run(project: Path) -> None:
    text = """
    [otelctx.ingress]
    trusted_proxies = ["*"]
    default = true
    defaults = "yes"
    [[otelctx.ingress.rules]]
    peers = ["10.0.0.1/8"]
    trace = "begin"
    [[otelctx.ingress.rules]]
    peers = ["localhost"]
    baggage = 5
    fields = "tenant"
    [[otelctx.ingress.rules]]
    peer = ["::1"]
    """
    assert problems(project, text) == [
        "….default: unknown key; did you mean 'defaults'?",
        "….defaults: expected true or false, got 'yes'",
        "….rules.1.trace: expected 'continue', 'restart' or 'ignore', got 'begin'",
        f"….rules.1.peers: expected {PEERS}: 10.0.0.1/8 has host bits set",
        "….rules.2.baggage: expected 'continue', 'restart' or 'ignore', got 5",
        "….rules.2.fields: expected a list of strings, got 'tenant'",
        f"….rules.2.peers: expected {PEERS}: 'localhost' is none; loopback is '127.0.0.0/8' and '::1'",
        "….rules.3.peer: unknown key; did you mean 'peers'?",
        "….rules.3: expected peers, such as ['private'] or ['*']",
        "….trusted_proxies: '*' would let every client say who it is; name the proxies or their networks",
    ]


@pytest.mark.parametrize("rules", ["5", "'x'", "[5]", "{}"])
def test_rules_of_another_form(project: Path, rules: str) -> None:
    (problem,) = problems(project, f"[otelctx.ingress]\nrules = {rules}\n")
    assert "expected a" in problem


def test_while_it_is_wrong_nobody_is_trusted(project: Path) -> None:
    (project / "otelctx.toml").write_text("[otelctx.ingress]\nruls = []\n")
    fail_closed.hide({}, project)
    assert ingress.ingress().of_named("127.0.0.1") == STRANGER


def test_nor_while_it_has_a_table_of_another_name(project: Path) -> None:
    (project / "otelctx.toml").write_text("[otelctx.ingres]\nrules = []\n")
    fail_closed.hide({}, project)
    assert ingress.ingress().of_named("127.0.0.1") == STRANGER


def test_a_mistake_elsewhere_changes_nothing_about_trust(project: Path) -> None:
    (project / "otelctx.toml").write_text("[otelctx]\nstrit = true\n")
    fail_closed.hide({}, project)
    assert ingress.ingress().of_named("127.0.0.1") == EVERYTHING
