"""Redaction by configuration: what each field has, where the keys are from, and what a mistake does."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

import otelctx
from otelctx import Field
from otelctx.core.redaction import MASK, HashKey, keys
from otelctx.core.registry import registry, replace
from otelctx.errors import ConfigError
from otelctx.setup import config, fail_closed
from otelctx.setup.config_files import read_files
from otelctx.setup.config_schema import FieldTable, OtelctxTable
from otelctx.signals.attributes import named

NEW, OLD = "n" * 32, "o" * 32


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / ".git").mkdir()
    return tmp_path


def write(project: Path, text: str) -> str:
    path = project / "otelctx.toml"
    path.write_text(dedent(text))
    return str(path)


def problems(project: Path, **environ: str) -> list[str]:
    with pytest.raises(ConfigError) as raised:
        config.load(environ, project)
    return str(raised.value).splitlines()


def in_logs(**values: object) -> dict[str, object]:
    registry().in_logs.redact(values)
    return values


class TestFields:
    def test_one_action_for_all_sinks(self, project: Path) -> None:
        write(project, '[otelctx.fields.user_id]\nredact = "mask"\n')
        (field,) = config.load({}, project).fields
        assert (field.redact, field.attribute_name) == ("mask", "user.id")

    def test_a_table_by_sink(self, project: Path) -> None:
        write(project, '[otelctx.fields.user_id.redact]\nlogs = "mask"\nwire = "drop"\n')
        (field,) = config.load({}, project).fields
        assert field.redact == {"logs": "mask", "wire": "drop"}

    def test_by_variable(self, project: Path) -> None:
        (field,) = config.load({"OTELCTX_FIELDS": "user_id:redact=drop"}, project).fields
        assert field.redact == "drop"

    @pytest.mark.parametrize("text", ["'hide'", "5", "{logs = 'hide'}", "{log = 'drop'}", "true"])
    def test_another_one_is_a_mistake(self, project: Path, text: str) -> None:
        path = write(project, f"[otelctx.fields.user_id]\nredact = {text}\n")
        (problem,) = problems(project)
        assert problem.startswith(
            f"{path}: otelctx.fields.user_id.redact: expected 'drop', 'mask' or 'hash', "
            "or a table of 'logs', 'spans', 'metrics' and 'wire' with these, got "
        )

    def test_one_that_contradicts_the_field_is_a_mistake(self, project: Path) -> None:
        path = write(project, '[otelctx.fields.step.redact]\nwire = "mask"\n')
        assert problems(project) == [
            f"{path}: otelctx.fields.step: only a remote field is on the wire to be redacted; add remote=True"
        ]


class TestKeys:
    HASHED = '[otelctx.fields.user_id]\nredact = "hash"\n'

    def test_from_a_file_beside_the_program_with_one_on_each_line(self, project: Path) -> None:
        write(project, f'{self.HASHED}[otelctx.redaction]\nkey_file = "keys.txt"\n')
        (project / "keys.txt").write_text(f"{NEW}\n{OLD}\n")
        config.apply(config.load({}, project))
        assert in_logs(user_id="alice") == {"user_id": HashKey(NEW.encode()).hash("user_id", "alice")}
        assert [key.id for key in keys()] == [HashKey(NEW.encode()).id, HashKey(OLD.encode()).id]

    def test_from_the_environment_which_wins(self, project: Path) -> None:
        write(project, f'{self.HASHED}[otelctx.redaction]\nkey_file = "keys.txt"\n')
        config.apply(config.load({"OTELCTX_REDACTION_KEY": f"{OLD},{NEW}"}, project))
        assert in_logs(user_id="alice") == {"user_id": HashKey(OLD.encode()).hash("user_id", "alice")}
        assert len(keys()) == 2

    def test_from_the_environment_alone_for_fields_that_code_declares(self, project: Path) -> None:
        config.apply(config.load({"OTELCTX_REDACTION_KEY": NEW}, project))
        otelctx.declare(Field("card", redact="hash"))
        assert in_logs(card="4111") == {"card": HashKey(NEW.encode()).hash("card", "4111")}

    def test_from_a_variable_in_opentelemetrys_file(self, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SECRET", NEW)
        section = "{otelctx: {redaction: {key: '${SECRET}'}}}"
        text = f"file_format: '1.0'\ninstrumentation/development:\n  python: {section}\n"
        (project / "otel.yaml").write_text(text)
        assert config.load({"OTEL_CONFIG_FILE": "otel.yaml"}, project).redaction_keys == (NEW.encode(),)

    def test_settings_do_not_show_them(self, project: Path) -> None:
        assert NEW not in repr(config.load({"OTELCTX_REDACTION_KEY": NEW}, project))

    def test_none_is_a_mistake_when_a_field_is_hashed(self, project: Path) -> None:
        path = write(project, f'{self.HASHED}[otelctx.fields.card]\nredact = {{logs = "hash"}}\n')
        assert problems(project) == [
            (
                f"{path}: 'user_id', 'card' cannot be hashed without a key; "
                "give redaction.key_file, or the key in OTELCTX_REDACTION_KEY"
            )
        ]

    @pytest.mark.parametrize(
        ("content", "problem"),
        [
            (None, "cannot be read: No such file or directory"),
            (b" \n", ": expected a key, found nothing"),
            (b"s3cret\n", ": key 1 has 6 characters; expected at least 32, such as 'openssl rand -hex 32' makes"),
            (NEW.encode() + b"\ns3cret", ": key 2 has 6 characters; expected at least 32, such as"),
            (b"\xff" * 40, ": expected text with a key on each line"),
        ],
    )
    def test_a_file_without_a_good_key_is_a_mistake(self, project: Path, content: bytes | None, problem: str) -> None:
        path = write(project, f'{self.HASHED}[otelctx.redaction]\nkey_file = "keys.txt"\n')
        file = project / "keys.txt"
        if content is not None:
            file.write_bytes(content)
        (said,) = problems(project)
        assert said.startswith(f"{path}: otelctx.redaction.key_file: {str(file)!r}")
        assert problem in said
        assert "s3cret" not in said

    def test_a_short_one_in_the_environment_is_not_shown(self, project: Path) -> None:
        (said,) = problems(project, OTELCTX_REDACTION_KEY="s3cret")
        assert said.startswith("OTELCTX_REDACTION_KEY: redaction.key: key 1 has 6 characters")
        assert "s3cret" not in said


class TestFailClosed:
    """While the configuration is wrong, what it redacts is masked and does not travel."""

    @pytest.mark.parametrize(
        "text",
        [
            '[otelctx.fields.user_id]\nredact = "hash"\n',
            '[otelctx]\nstrict = "perhaps"\n[otelctx.fields.user_id]\nredact = "mask"\n',
            '[otelctx.fields.user_id]\nredact = "hsah"\n',
            '[otelctx.fields.user_id]\nredact = "mask"\n[otelctx.fields."no name"]\nredact = "mask"\n',
            '[otelctx.fields.user_id\nredact = "mask"\n',
        ],
        ids=["no key", "another key is wrong", "a slip", "a name that is none", "no TOML at all"],
    )
    def test_it_is_not_shown(self, project: Path, text: str) -> None:
        write(project, text)
        assert problems(project)
        fail_closed.hide({}, project)
        assert in_logs(user_id="alice") == {"user_id": MASK}
        members = {"user_id": "alice", "request_id": "r"}
        registry().on_wire.redact(members)
        assert members == {"request_id": "r"}

    @pytest.mark.parametrize(
        "text",
        [
            '[otelctx.fields.card\nredact = "mask"\n',
            '[otelctx.fieldz.card]\nredact = "mask"\n',
            '[otelctx]\nfields = "card"\n',
            '[otelctx.fields]\ncard = "mask"\n',
            '[otelctx.fields.card]\nRedact = "mask"\n',
            '[otelctx]\nstrict = "perhaps"\n[otelctx.fields.card]\nlog = false\nspan = false\n',
        ],
        ids=["no TOML at all", "another table", "no table", "no table of a field", "another key", "hidden otherwise"],
    )
    def test_what_it_may_have_been_meant_to_hide_is_not_shown(self, project: Path, text: str) -> None:
        write(project, text)
        assert problems(project)
        before = registry()
        fail_closed.hide({}, project)
        try:
            otelctx.declare(Field("step"))
            assert "4111" not in repr(in_logs(card="4111"))
            assert in_logs(step="one") == {"step": "one"}
            values = {"card": "4111", "step": "one"}
            assert named(values, registry().in_spans, {}).get("card", MASK) == MASK
            assert named(values, registry().in_spans, {})["step"] == "one"
        finally:
            replace(before)

    def test_the_keys_that_are_known_are_those_of_the_schema(self) -> None:
        assert fail_closed.KNOWN == OtelctxTable.__annotations__.keys()
        assert fail_closed.KNOWN_OF_A_FIELD == FieldTable.__annotations__.keys()

    def test_one_that_code_has_declared_stays_what_it_is(self, project: Path) -> None:
        otelctx.declare(Field("card", attribute="app.card", max_length=4))
        write(project, '[otelctx.fields.card]\nredact = "hash"\n')
        fail_closed.hide({}, project)
        card = registry().by_name["card"]
        assert (card.attribute_name, card.max_length, card.redaction("logs")) == ("app.card", 4, "mask")

    def test_a_wrong_file_that_redacts_nothing_hides_nothing(self, project: Path) -> None:
        write(project, '[otelctx]\nstrict = "perhaps"\nstrit = 1\n[otelctx.fields.step]\nlog = 5\n')
        assert len(problems(project)) == 3
        fail_closed.hide({}, project)
        assert in_logs(user_id="alice", step=1) == {"user_id": "alice", "step": 1}

    def test_it_reads_what_loading_reads(self, project: Path) -> None:
        write(project, '[otelctx.fields.user_id]\nredact = "mask"\n')
        (source,) = read_files({}, project, [])
        fail_closed.hide({"OTELCTX_CONFIG": source.label}, project / "elsewhere")
        assert in_logs(user_id="alice") == {"user_id": MASK}
