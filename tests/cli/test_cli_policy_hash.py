"""`otelctx policy hash`: what to search for, without the value in a history or a list of processes."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from otelctx.core.redaction import HashKey
from tests.bare_environment import bare_environment

NEW, OLD = "n" * 32, "o" * 32
ENVIRONMENT = bare_environment()
COMMAND = [sys.executable, "-m", "otelctx.cli", "policy", "hash"]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / ".git").mkdir()
    (tmp_path / "keys").write_text(f"{NEW}\n{OLD}\n")
    (tmp_path / "otelctx.toml").write_text(
        '[otelctx.redaction]\nkey_file = "keys"\n[otelctx.fields.tier]\ntype = "int"\n'
    )
    return tmp_path


def run(project: Path, *words: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *words],
        input=typed,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=project,
        env=ENVIRONMENT,
    )


def hashes(field: str, text: str) -> str:
    return "".join(f"{HashKey(key.encode()).hash(field, text)}\n" for key in (NEW, OLD))


def test_a_piped_value_is_hashed_under_each_key_the_one_in_use_first(project):
    done = run(project, "--field", "user_id", typed="alice\n")
    assert (done.stdout, done.stderr, done.returncode) == (hashes("user_id", "alice"), "", 0)


def test_a_value_may_be_an_argument(project):
    assert run(project, "alice", "--field", "user_id").stdout == hashes("user_id", "alice")


def test_a_value_is_taken_as_its_field_has_it(project):
    assert run(project, "--field", "tier", typed="05").stdout == hashes("tier", "5")


def test_a_field_that_only_code_declares_is_text(project):
    assert run(project, "--field", "card", typed="4111").stdout == hashes("card", "4111")


def test_at_a_terminal_it_is_asked_for_and_not_shown(project):
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, "--field", "user_id"],
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=theirs,
        text=True,
        cwd=project,
        env=ENVIRONMENT,
        start_new_session=True,  # or the terminal of whoever runs the tests would be asked
    )
    os.close(theirs)
    with process, os.fdopen(ours, "rb+", buffering=0) as terminal:
        shown = b""
        while not shown.endswith(b": "):  # what is typed before that is thrown away
            shown += terminal.read(100)
        terminal.write(b"alice\n")
        printed, _ = process.communicate(timeout=60)
    assert b"Value" in shown
    assert b"alice" not in shown
    assert printed == hashes("user_id", "alice")


@pytest.mark.parametrize(
    ("words", "typed", "said"),
    [
        (["--field", "user_id"], "", "There is no value"),
        (["--field", "tier"], "s3cret", "The value does not fit the declaration of field 'tier'"),
        ([], "alice", "--field"),
    ],
)
def test_what_is_missing_or_wrong_is_said_without_the_value(project, words, typed, said):
    done = run(project, *words, typed=typed)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert "s3cret" not in done.stderr


def test_without_a_key_it_says_where_to_give_one(project):
    (project / "otelctx.toml").unlink()
    done = run(project, "--field", "user_id", typed="alice")
    assert (done.returncode, done.stdout) == (2, "")
    assert "[otelctx.redaction] key_file, or the key in OTELCTX_REDACTION_KEY" in done.stderr


def test_keys_are_never_shown(project):
    done = run(project, "--field", "user_id", typed="alice")
    assert NEW not in done.stdout + done.stderr
