"""`otelctx policy explain`: what would be sent to a URL, and why, from the configuration of a directory."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bare_environment import bare_environment

ENVIRONMENT = bare_environment("COLUMNS", "NO_COLOR")
COMMAND = [sys.executable, "-m", "otelctx.cli", "policy", "explain"]
ALL = {"request_id", "user_id", "tenant", "card"}
CONFIGURATION = """
[otelctx.fields.tenant]
remote = true
header = "x-tenant"

[otelctx.fields.card]
remote = true
redact = { wire = "mask" }

[otelctx.fields.step]

[[otelctx.egress.rules]]
to = ["*.partner.example", "kafka://orders"]
fields = ["tenant", "card", "colour"]

[[otelctx.egress.rules]]
to = ["tracker.example"]
trace = false
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / ".git").mkdir()
    (tmp_path / "otelctx.toml").write_text(CONFIGURATION)
    return tmp_path


def run(project: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *words],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=project,
        env={**ENVIRONMENT, **environment},
    )


def printed(project: Path, url: str, columns: int = 80) -> list[str]:
    done = run(project, "--to", url, COLUMNS=str(columns))
    assert (done.stderr, done.returncode) == ("", 0)
    return [line.rstrip() for line in done.stdout.replace(str(project), ".").splitlines()]


def test_each_field_with_what_becomes_of_it_and_why(project):
    assert printed(project, "https://user:password@API.partner.example./orders?id=5", 300) == [
        "to          https://api.partner.example",
        "decided by  ./otelctx.toml: otelctx.egress.rules.1 (*.partner.example)",
        "",
        "               sent    in        why",
        "trace context  yes",
        "request_id     no                the rule does not name it",
        "user_id        no                the rule does not name it",
        "tenant         yes     baggage   the rule names it",
        "                       x-tenant",
        "card           masked  baggage   the rule names it",
        "step           no                it is local and never leaves",
        "colour         yes     baggage   the rule names it",
        "other baggage  no",
    ]


@pytest.mark.parametrize(
    ("url", "decided_by", "trace", "sent"),
    [
        (
            "http://orders:8000",
            "the default rule (names of one label)",
            True,
            {"request_id", "user_id", "tenant", "card"},
        ),
        ("https://stripe.com", "no rule names it", True, set()),
        ("kafka://orders", "rules.1 (kafka://orders)", True, {"tenant", "card", "colour"}),
        ("http://tracker.example", "rules.2 (tracker.example)", False, set()),
        ("http://2130706433", "write it like 127.0.0.1", True, set()),
    ],
)
def test_as_json(project, url, decided_by, trace, sent):
    done = run(project, "--to", url, "--json")
    told = json.loads(done.stdout)
    assert (done.returncode, done.stderr) == (0, "")
    assert told["decided_by"].endswith(decided_by)
    assert told["trace"] is trace
    assert {field["name"] for field in told["fields"] if field["sent"]} == sent
    assert {field["name"] for field in told["fields"]} >= {*ALL, "step"}
    assert all(field["why"] for field in told["fields"])


def test_the_form_of_the_json(project):
    told = json.loads(run(project, "--to", "grpc://orders:50051", "--json").stdout)
    assert told["destination"] == {"url": "grpc://orders:50051", "host": "orders", "port": 50051}
    assert told["other_baggage"] is True
    assert next(field for field in told["fields"] if field["name"] == "tenant") == {
        "name": "tenant",
        "sent": True,
        "form": "clear",
        "headers": ["baggage", "x-tenant"],
        "why": "the rule lets every field go",
    }


def test_with_nothing_configured_the_default_rules_hold(tmp_path):
    (tmp_path / ".git").mkdir()
    assert printed(tmp_path, "http://10.0.0.7") == [
        "to          http://10.0.0.7",
        "decided by  the default rule (10.0.0.0/8)",
        "",
        "               sent  in            why",
        "trace context  yes",
        "request_id     yes   baggage       the rule lets every field go",
        "                     x-request-id",
        "user_id        yes   baggage       the rule lets every field go",
        "other baggage  yes",
    ]


def test_it_fits_80_columns_whatever_is_configured(project):
    long = "a" * 70
    (project / "otelctx.toml").write_text(
        f'[otelctx.fields.{long}]\nremote = true\nheader = "x-{long}"\n'
        f'[[otelctx.egress.rules]]\nto = ["{"very-long-name." * 10}example"]\nfields = ["{long}"]\n'
    )
    lines = printed(project, f"https://{'very-long-name.' * 10}example")
    assert max(map(len, lines)) <= 80
    assert "".join(lines).count("a") >= 2 * len(long)  # the field and its header, and nothing cut off


def test_colour_only_at_a_terminal(project):
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*COMMAND, "--to", "http://orders"],
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
        cwd=project,
        env={**ENVIRONMENT, "TERM": "xterm-256color"},
    ) as process:
        os.close(theirs)
        shown = b""
        with os.fdopen(ours, "rb", buffering=0) as terminal:
            try:
                while part := terminal.read(4096):
                    shown += part
            except OSError:  # how Linux says that the other side is closed
                pass
        assert process.wait(60) == 0
    assert b"\x1b[32myes" in shown
    assert "\x1b" not in run(project, "--to", "http://orders").stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "--to"),
        (["--to", "api.example.com"], "--to needs a scheme, as in https://api.example.com/x"),
    ],
)
def test_wrong_usage(project, words, said):
    done = run(project, *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr


def test_where_otelctx_is_off_nothing_is_claimed(project):
    done = run(project, "--to", "http://orders", OTELCTX_ENABLED="false")
    assert (done.returncode, done.stdout) == (2, "")
    assert "OTELCTX_ENABLED is false here" in done.stderr


def test_a_wrong_configuration_is_said_and_nothing_is_claimed(project):
    (project / "otelctx.toml").write_text('[[otelctx.egress.rules]]\nto = ["*"]\nfields = ["*"]\n')
    done = run(project, "--to", "http://orders")
    assert (done.returncode, done.stdout) == (2, "")
    assert "'*' would be everyone" in done.stderr
