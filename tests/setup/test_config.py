"""Reading the configuration: real files in a fresh directory, and the environment as a plain mapping."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path
from textwrap import dedent

import pytest

from otelctx.core import registry as registries
from otelctx.core.fields import REQUEST_ID, Field
from otelctx.core.values import wire_text
from otelctx.errors import ConfigError
from otelctx.setup import config
from otelctx.setup.config_fields import MatchesPattern
from otelctx.setup.config_files import nearest
from otelctx.setup.config_schema import FieldTable, OtelctxTable
from otelctx.setup.environment_variables import is_enabled


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(dedent(text), encoding="utf-8")
    return path


def load(directory: Path, **environ: str) -> config.Settings:
    # The directory is its own repository, so that no file above it plays a part.
    (directory / ".git").mkdir(exist_ok=True)
    return config.load(environ, directory)


def problems(directory: Path, **environ: str) -> list[str]:
    with pytest.raises(ConfigError) as raised:
        load(directory, **environ)
    return str(raised.value).splitlines()


def one(settings: config.Settings) -> Field:
    (field,) = settings.fields
    return field


@pytest.fixture(autouse=True)
def fresh_registry():
    before = registries.replace(registries.Registry())
    yield
    registries.replace(before)


class TestLoad:
    """`load` makes one checked value of all sources."""

    def test_nothing_configured_changes_nothing(self, tmp_path):
        assert config.Settings() == load(tmp_path)

    def test_otelctx_toml_declares_fields_with_every_key(self, tmp_path):
        path = write(
            tmp_path / "otelctx.toml",
            """
            [otelctx]
            strict = true
            [otelctx.fields.tenant]
            type = "str"
            remote = true
            header = "x-tenant"
            key = "t"
            attribute = "tenant.id"
            default = "none"
            log = false
            span = false
            metric = true
            metric_limit = 7
            echo = true
            max_length = 64
            pattern = "[a-z0-9-]+"
            priority = 10
            """,
        )
        expected = Field(
            "tenant",
            remote=True,
            header="x-tenant",
            key="t",
            attribute="tenant.id",
            default="none",
            log=False,
            span=False,
            metric=True,
            metric_limit=7,
            echo=True,
            max_length=64,
            validate=MatchesPattern(re.compile("[a-z0-9-]+")),
            priority=10,
        )

        assert config.Settings(strict=True, fields=(expected,), sources=(str(path),)) == load(tmp_path)

    def test_the_schema_has_the_keys_of_a_field_and_pattern_in_place_of_validate(self):
        declarable = {item.name for item in fields(Field)} - {"name", "generate", "validate"}
        assert declarable | {"pattern"} == {*FieldTable.__annotations__}

    def test_pyproject_has_the_same_form_under_tool(self, tmp_path):
        path = write(tmp_path / "pyproject.toml", "[tool.otelctx.fields]\nstep = {}\n")

        assert config.Settings(fields=(Field("step"),), sources=(str(path),)) == load(tmp_path)

    def test_a_pyproject_of_somebody_else_is_not_even_parsed(self, tmp_path):
        write(tmp_path / "pyproject.toml", "[tool.black\nbroken")

        assert config.Settings() == load(tmp_path)

    def test_a_pyproject_that_only_depends_on_otelctx_says_nothing(self, tmp_path):
        write(tmp_path / "pyproject.toml", "[project]\ndependencies = ['otelctx']\n")

        assert config.Settings() == load(tmp_path)

    @pytest.mark.parametrize(
        ("kind", "default", "expected"),
        [("int", "3", 3), ("float", "3", 3.0), ("bool", "true", True), ("str", "'3'", "3")],
    )
    def test_a_default_has_the_type_of_its_field(self, tmp_path, kind, default, expected):
        write(tmp_path / "otelctx.toml", f"[otelctx.fields.x]\ntype = '{kind}'\ndefault = {default}\n")
        field = one(load(tmp_path))

        assert (expected, type(expected)) == (field.default, type(field.default))

    def test_redeclaring_a_built_in_field_changes_only_the_keys_given(self, tmp_path):
        write(tmp_path / "otelctx.toml", "[otelctx.fields.request_id]\nheader = 'x-correlation-id'\n")
        field = one(load(tmp_path))

        assert field.header == "x-correlation-id"
        assert replace(field, header=REQUEST_ID.header) == REQUEST_ID

    def test_an_empty_header_takes_that_of_a_built_in_field_away(self, tmp_path):
        write(tmp_path / "otelctx.toml", "[otelctx.fields.request_id]\nheader = ''\necho = false\nremote = false\n")
        field = one(load(tmp_path))

        assert (field.header, field.remote) == (None, False)

    @pytest.mark.parametrize(
        ("text", "expected"), [("acme-1", True), ("acme-1\n", False), ("x acme", False), ("", False)]
    )
    def test_a_pattern_matches_the_whole_value(self, tmp_path, text, expected):
        write(tmp_path / "otelctx.toml", "[otelctx.fields.tenant]\npattern = '[a-z0-9-]+'\n")
        field = one(load(tmp_path))

        assert expected is (field.accept(text) is not None)

    @pytest.mark.parametrize(
        ("kind", "text"),
        [("uuid", "01a20714-08ae-7fdc-9e65-79b8336deee5"), ("datetime", "2026-11-23T12:00:00Z"), ("float", "0.5")],
    )
    def test_a_type_has_values_and_a_default_of_it(self, tmp_path, kind, text):
        write(tmp_path / "otelctx.toml", f"[otelctx.fields.tenant]\ntype = '{kind}'\n")
        field = one(load(tmp_path))
        assert wire_text(field.accept(text)) == text
        write(tmp_path / "otelctx.toml", f"[otelctx.fields.tenant]\ntype = '{kind}'\ndefault = {text!r}\n")
        if kind != "float":
            assert one(load(tmp_path)).default == field.accept(text)

    def test_a_pattern_sees_no_text_longer_than_max_length(self, tmp_path):
        write(tmp_path / "otelctx.toml", "[otelctx.fields.tenant]\npattern = '(a+)+b'\nmax_length = 8\n")

        assert one(load(tmp_path)).accept("a" * 10_000) is None

    def test_a_pattern_sees_other_types_as_they_are_on_the_wire(self, tmp_path):
        write(tmp_path / "otelctx.toml", "[otelctx.fields.trial]\ntype = 'bool'\npattern = 'true|false'\n")

        assert one(load(tmp_path)).accept(value=True) is True

    def test_our_own_file_is_read_without_the_sdk(self, tmp_path):
        write(tmp_path / "otelctx.toml", "[otelctx.fields.tenant]\nremote = true\n")
        program = """
            import sys, pathlib
            from otelctx.setup import config
            config.load({}, pathlib.Path(sys.argv[1]))
            print([name for name in ("opentelemetry.sdk", "yaml", "jsonschema") if name in sys.modules])
        """

        assert run_python(program, tmp_path) == "[]"

    def test_nothing_configured_imports_no_parser(self, tmp_path):
        (tmp_path / ".git").mkdir()
        program = """
            import sys, pathlib
            from otelctx.setup import config
            config.load({}, pathlib.Path(sys.argv[1]))
            print([name for name in ("msgspec", "tomllib", "tomli", "yaml") if name in sys.modules])
        """

        assert run_python(program, tmp_path) == "[]"


@pytest.mark.parametrize(("value", "expected"), [("", True), ("true", True), ("0", True), (" False ", False)])
def test_only_false_switches_everything_off(value, expected):
    assert is_enabled({"OTELCTX_ENABLED": value}) is expected


class TestMissingPackages:
    """What has to be installed to read a file is said with the file's name."""

    @pytest.mark.parametrize(
        ("package", "name", "text", "problem"),
        [
            (
                "msgspec",
                "otelctx.toml",
                "[otelctx]",
                "reading configuration needs msgspec; pip install 'otelctx[otlp]'",
            ),
            ("TOML", "otelctx.toml", "[otelctx]", "reading it needs tomli; pip install 'otelctx[otlp]'"),
            (
                "opentelemetry.configuration",
                "otel.yaml",
                "# otelctx",
                "reading it needs opentelemetry-configuration; pip install 'otelctx[all]'",
            ),
        ],
        ids=["msgspec", "tomli", "opentelemetry-configuration"],
    )
    def test_a_missing_package_is_named_with_how_to_install_it(self, tmp_path, package, name, text, problem):
        path = write(tmp_path / name, text)
        (tmp_path / ".git").mkdir()
        missing = package.replace("TOML", "tomllib" if sys.version_info >= (3, 11) else "tomli")
        program = """
            import sys, pathlib
            sys.modules[sys.argv[1]] = None  # as if it were not installed
            from otelctx.setup import config
            directory = pathlib.Path(sys.argv[2])
            try:
                config.load({"OTEL_CONFIG_FILE": "otel.yaml"} if (directory / "otel.yaml").exists() else {}, directory)
            except config.ConfigError as error:
                print(error)
        """

        assert run_python(program, missing, tmp_path) == f"{path}: {problem}"


def run_python(program: str, *arguments: object) -> str:
    command = [sys.executable, "-c", dedent(program), *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout.strip()


class TestSearch:
    """The nearest file upward counts, up to the end of the project."""

    def test_a_file_above_the_working_directory_is_found(self, tmp_path):
        path = write(tmp_path / "otelctx.toml", "[otelctx]\nstrict = true\n")
        inner = tmp_path / "src" / "app"
        inner.mkdir(parents=True)

        assert (str(path),) == config.load({}, inner).sources

    def test_a_nearer_file_hides_one_further_up(self, tmp_path):
        write(tmp_path / "otelctx.toml", "[otelctx]\nstrict = true\n")
        write(tmp_path / "app" / "otelctx.toml", "[otelctx.fields]\nstep = {}\n")
        settings = config.load({}, tmp_path / "app")

        assert (settings.strict, one(settings).name) == (False, "step")

    @pytest.mark.parametrize("repository", ["directory", "file"], ids=["clone", "worktree"])
    def test_the_search_ends_where_the_repository_does(self, tmp_path, repository):
        write(tmp_path / "otelctx.toml", "[otelctx]\nstrict = true\n")
        inner = tmp_path / "clone" / "src"
        inner.mkdir(parents=True)
        git = tmp_path / "clone" / ".git"
        git.mkdir() if repository == "directory" else git.write_text("gitdir: elsewhere")

        assert config.Settings() == config.load({}, inner)

    def test_the_search_ends_at_the_home_directory(self, tmp_path):
        write(tmp_path / "otelctx.toml", "[otelctx]\nstrict = true\n")
        inner = tmp_path / "home" / "app"
        inner.mkdir(parents=True)

        assert config.Settings() == config.load({"HOME": str(tmp_path / "home")}, inner)

    def test_a_file_in_the_last_directory_of_the_search_counts(self, tmp_path):
        path = write(tmp_path / "otelctx.toml", "")
        path.write_text("[otelctx]\n")

        assert (str(path),) == load(tmp_path).sources

    def test_any_file_is_searched_for_in_the_same_way(self, tmp_path):
        inner = tmp_path / "inner"
        (inner / ".git").mkdir(parents=True)
        (tmp_path / "setup.cfg").touch()
        assert nearest("setup.cfg", inner, "") is None
        (inner / ".git").rmdir()
        assert nearest("setup.cfg", inner, "") == tmp_path / "setup.cfg"
        assert nearest("setup.cfg", inner, str(inner)) is None

    @pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
    def test_a_pyproject_that_may_not_be_read_says_nothing(self, tmp_path):
        write(tmp_path / "pyproject.toml", "[tool.otelctx]\nstrict = true\n").chmod(0)

        assert config.Settings() == load(tmp_path)


class TestPrecedence:
    """A later source wins, key by key."""

    def test_each_source_wins_over_those_before_it(self, tmp_path, monkeypatch):
        order = []
        write(tmp_path / "pyproject.toml", "[tool.otelctx.fields.x]\npriority = 1\nmax_length = 1\n")
        order.append(one(load(tmp_path)).priority)
        write(tmp_path / "otelctx.toml", "[otelctx.fields.x]\npriority = 2\n")
        order.append(one(load(tmp_path)).priority)
        yaml = write(tmp_path / "otel.yaml", section("fields: {x: {priority: 3}}"))
        order.append(one(load(tmp_path, OTEL_CONFIG_FILE=str(yaml))).priority)
        last = load(tmp_path, OTEL_CONFIG_FILE="otel.yaml", OTELCTX_FIELDS="x:priority=4")

        assert [*order, one(last).priority] == [1, 2, 3, 4]
        assert one(last).max_length == 1
        assert (
            str(tmp_path / "pyproject.toml"),
            str(tmp_path / "otelctx.toml"),
            str(yaml),
            "OTELCTX_FIELDS",
        ) == last.sources

    def test_the_environment_can_switch_strict_mode_off_again(self, tmp_path):
        write(tmp_path / "otelctx.toml", "[otelctx]\nstrict = true\n")

        assert load(tmp_path, OTELCTX_STRICT="false").strict is False

    def test_a_type_of_one_source_goes_with_a_default_of_another(self, tmp_path):
        write(tmp_path / "otelctx.toml", "[otelctx.fields.attempt]\ntype = 'int'\n")

        assert one(load(tmp_path, OTELCTX_FIELDS="attempt:default=5")).default == 5

    def test_otelctx_config_replaces_the_search_for_otelctx_toml(self, tmp_path):
        write(tmp_path / "otelctx.toml", "[otelctx.fields]\nstep = {}\n")
        write(tmp_path / "pyproject.toml", "[tool.otelctx]\nstrict = true\n")
        named = write(tmp_path / "etc" / "production.toml", "[otelctx.fields]\ntenant = {}\n")
        settings = load(tmp_path, OTELCTX_CONFIG="etc/production.toml")

        assert (settings.strict, one(settings).name) == (True, "tenant")
        assert str(named) in settings.sources

    def test_code_wins_over_files_because_it_runs_last(self, tmp_path):
        config.apply(load(tmp_path, OTELCTX_FIELDS="tenant:remote:max_length=5"))
        in_code = Field("tenant", max_length=9)
        registries.declare(in_code)

        assert in_code == registries.registry().by_name["tenant"]


class TestVariables:
    """Everything can be said by the environment."""

    def test_otelctx_fields_declares_fields(self, tmp_path):
        settings = load(
            tmp_path, OTELCTX_FIELDS="tenant:remote:header=x-tenant, step , attempt:type=int:metric:default=1,"
        )
        expected = (
            Field("tenant", remote=True, header="x-tenant"),
            Field("step"),
            Field("attempt", type=int, metric=True, default=1),
        )

        assert config.Settings(fields=expected, sources=("OTELCTX_FIELDS",)) == settings

    def test_values_are_percent_decoded(self, tmp_path):
        field = one(load(tmp_path, OTELCTX_FIELDS="sku:pattern=[A-Z]{2%2C4}%3A[0-9]+"))

        assert [field.accept("AB:1"), field.accept("A:1")] == ["AB:1", None]

    def test_a_switch_can_be_given_as_off(self, tmp_path):
        assert one(load(tmp_path, OTELCTX_FIELDS="step:log=false:span=0")) == Field("step", log=False, span=False)

    def test_digits_stay_text_as_the_default_of_text(self, tmp_path):
        assert one(load(tmp_path, OTELCTX_FIELDS="step:default=5")).default == "5"

    @pytest.mark.parametrize("name", ["OTELCTX_CONFIG", "OTELCTX_STRICT", "OTELCTX_FIELDS", "OTEL_CONFIG_FILE"])
    def test_an_empty_variable_counts_as_not_set(self, tmp_path, name):
        assert config.Settings() == load(tmp_path, **{name: " "})

    @pytest.mark.parametrize(
        ("text", "problem"),
        [
            ("a,a:log", "'a' is declared twice"),
            ("a:log:log=false", "'a' has the key 'log' twice"),
            ("a:hader=x", "fields.a.hader: unknown key; did you mean 'header'?"),
            ("a:max_length", "fields.a.max_length: expected an integer of at least 1, got true"),
            ("a:max_length=abc", "fields.a.max_length: expected an integer of at least 1, got 'abc'"),
            ("a:header", "fields.a.header: expected a string, got true"),
            ("a:type=int:default=x", "fields.a.default: expected a value of type int, got a string"),
            ("a-b", "fields.a-b: a name must be an identifier, such as 'tenant_id'"),
            (":log", "fields.\"\": a name must be an identifier, such as 'tenant_id'"),
        ],
    )
    def test_a_mistake_is_shown_with_the_variable_and_the_key(self, tmp_path, text, problem):
        assert [f"OTELCTX_FIELDS: {problem}"] == problems(tmp_path, OTELCTX_FIELDS=text)

    def test_a_switch_that_is_neither_true_nor_false_is_refused(self, tmp_path):
        assert problems(tmp_path, OTELCTX_STRICT="ture") == [
            "OTELCTX_STRICT: strict: expected true or false, got 'ture'"
        ]


def section(body: str) -> str:
    return f"file_format: '1.0'\ninstrumentation/development:\n  python:\n    otelctx: {{{body}}}\n"


class TestOpenTelemetryFile:
    """The section in the file of OpenTelemetry is read as OpenTelemetry reads the file."""

    def load(self, directory: Path, text: str) -> config.Settings:
        return load(directory, OTEL_CONFIG_FILE=str(write(directory / "otel.yaml", text)))

    def test_variables_are_substituted_with_their_type(self, tmp_path, monkeypatch):
        monkeypatch.setenv("LENGTH", "12")
        text = """
            file_format: "1.0"
            instrumentation/development:
              python:
                otelctx:
                  strict: ${UNSET:-true}
                  fields:
                    tenant:
                      max_length: ${LENGTH}
                      attribute: a.${LENGTH}
                      header: ${UNSET}
            """
        settings = self.load(tmp_path, text)

        assert settings == config.Settings(
            strict=True,
            fields=(Field("tenant", max_length=12, attribute="a.12"),),
            sources=(str(tmp_path / "otel.yaml"),),
        )

    def test_json_is_read_too(self, tmp_path):
        text = '{"file_format": "1.0", "instrumentation/development": {"python": {"otelctx": {"strict": true}}}}'
        path = write(tmp_path / "otel.json", text)

        assert load(tmp_path, OTEL_CONFIG_FILE=str(path)).strict is True

    def test_a_field_without_a_table_is_a_plain_field(self, tmp_path):
        assert Field("step") == one(self.load(tmp_path, section("fields: {step: }")))

    def test_an_empty_section_says_nothing(self, tmp_path):
        assert config.Settings() == self.load(tmp_path, section(""))

    def test_a_section_that_is_switched_off_says_nothing(self, tmp_path):
        assert config.Settings() == self.load(tmp_path, section("enabled: false, strict: true"))

    def test_a_section_that_is_switched_on_is_read(self, tmp_path):
        assert self.load(tmp_path, section("enabled: true, strict: true")).strict is True

    def test_a_file_that_does_not_speak_of_otelctx_is_left_to_opentelemetry(self, tmp_path):
        assert config.Settings() == self.load(tmp_path, "file_format: [broken")

    def test_a_mistake_is_shown_with_file_and_key(self, tmp_path):
        path = write(tmp_path / "otel.yaml", section("fields: {tenant: {remote: 1, 5: 6}}"))
        spot = f"{path}: instrumentation/development.python.otelctx.fields.tenant"

        assert [
            f"{spot}.remote: expected true or false, got 1",
            f"{spot}.5: unknown key; expected one of {', '.join(FieldTable.__annotations__)}",
        ] == [line.replace('"', "") for line in problems(tmp_path, OTEL_CONFIG_FILE=str(path))]

    def test_a_null_section_is_refused_as_opentelemetry_refuses_it(self, tmp_path):
        path = write(tmp_path / "otel.yaml", section("").replace("{}", ""))
        (problem,) = problems(tmp_path, OTEL_CONFIG_FILE=str(path))

        assert problem.startswith(f"{path}: Configuration does not match schema: None is not of type 'object'")

    def test_a_broken_file_is_one_mistake(self, tmp_path):
        path = write(tmp_path / "otel.yaml", "otelctx: [broken")
        message = "\n".join(problems(tmp_path, OTEL_CONFIG_FILE=str(path)))

        assert message.startswith(f"{path}: Failed to parse YAML")

    def test_a_missing_file_is_named(self, tmp_path):
        assert [
            f"OTEL_CONFIG_FILE: {str(tmp_path / 'none.yaml')!r} cannot be read: No such file or directory"
        ] == problems(tmp_path, OTEL_CONFIG_FILE="none.yaml")

    def test_opentelemetry_configures_the_sdk_from_a_file_with_the_section(self, tmp_path):
        path = write(tmp_path / "otel.yaml", section("strict: false, fields: {tenant: {remote: true}}"))
        program = """
            import logging, sys
            logging.basicConfig(level="WARNING", stream=sys.stdout)
            from opentelemetry.configuration import configure_sdk, load_config_file
            configure_sdk(load_config_file(sys.argv[1]))
            print("configured")
        """

        assert run_python(program, path).endswith("configured")


class TestMistakes:
    """One error names file, key and what was expected, for every mistake."""

    @pytest.mark.parametrize(
        ("text", "problem"),
        [
            ("max_lenght = 5", "fields.tenant.max_lenght: unknown key; did you mean 'max_length'?"),
            ("max_length = 'abc'", "fields.tenant.max_length: expected an integer of at least 1, got 'abc'"),
            ("max_length = 0", "fields.tenant.max_length: expected an integer of at least 1, got 0"),
            ("max_length = true", "fields.tenant.max_length: expected an integer of at least 1, got true"),
            ("remote = 'yes'", "fields.tenant.remote: expected true or false, got 'yes'"),
            ("remote = 1", "fields.tenant.remote: expected true or false, got 1"),
            (
                "type = 'enum'",
                "fields.tenant.type: expected 'str', 'int', 'float', 'bool', 'uuid' or 'datetime', got 'enum'",
            ),
            ("type = 'uuid'\ndefault = 'x'", "fields.tenant.default: expected a value of type UUID, got a string"),
            (
                "type = 'datetime'\ndefault = '2026-01-01T00:00:00'",
                "fields.tenant: a default datetime must know its offset from UTC; give it a tzinfo",
            ),
            ("attribute = ['a']", "fields.tenant.attribute: expected a string, got a list"),
            ("default = 2020-01-01", "fields.tenant.default: expected a string, a number, true or false, got a date"),
            ("default = 5", "fields.tenant.default: expected a value of type str, got an integer"),
            ("type = 'int'\ndefault = 's3cret'", "fields.tenant.default: expected a value of type int, got a string"),
            ("pattern = ''", "fields.tenant.pattern: expected a regular expression, got ''"),
            (
                "pattern = ')'",
                "fields.tenant.pattern: expected a regular expression: unbalanced parenthesis at position 0",
            ),
            (
                "header = 'x-tenant'",
                "fields.tenant: only a remote field has a header or a baggage key; add remote=True",
            ),
            (
                "remote = true\nheader = 'X Tenant'",
                "fields.tenant: header 'X Tenant' must be a lower-case header name, such as 'x-tenant'",
            ),
        ],
    )
    def test_a_mistake_in_a_field_is_shown_with_file_and_key(self, tmp_path, text, problem):
        path = write(tmp_path / "otelctx.toml", f"[otelctx.fields.tenant]\n{text}\n")

        assert [f"{path}: otelctx.{problem}"] == problems(tmp_path)

    @pytest.mark.parametrize(
        ("text", "problem"),
        [
            ("strict = true", "strict: unknown key; everything in this file stands under [otelctx]"),
            ("[fields.tenant]", "fields: unknown key; everything in this file stands under [otelctx]"),
            ("otelctx = true", "otelctx: expected a table, got true"),
            ("[otelctx]\nstrikt = true", "otelctx.strikt: unknown key; did you mean 'strict'?"),
            (
                "[otelctx]\nzzz = true",
                f"otelctx.zzz: unknown key; expected one of {', '.join(OtelctxTable.__annotations__)}",
            ),
            ("[otelctx]\nfields = []", "otelctx.fields: expected a table with a table for each field, got a list"),
            ("[otelctx.fields]\nstep = true", "otelctx.fields.step: expected a table, got true"),
            ("[otelctx.fields.'a b']", "otelctx.fields.\"a b\": a name must be an identifier, such as 'tenant_id'"),
        ],
    )
    def test_a_mistake_outside_of_a_field_is_shown_with_file_and_key(self, tmp_path, text, problem):
        path = write(tmp_path / "otelctx.toml", text)

        assert [f"{path}: {problem}"] == problems(tmp_path)

    def test_wrong_toml_is_shown_with_its_line(self, tmp_path):
        path = write(tmp_path / "otelctx.toml", "[otelctx]\nstrict true\n")
        (problem,) = problems(tmp_path)

        assert problem.startswith(f"{path}: not valid TOML: ")
        assert "line 2" in problem

    def test_a_file_that_is_not_utf_8_is_one_mistake(self, tmp_path):
        path = tmp_path / "otelctx.toml"
        path.write_bytes(b"[otelctx]\n# caf\xe9\n")
        (problem,) = problems(tmp_path)

        assert problem.startswith(f"{path}: not valid TOML: 'utf-8' codec")

    def test_a_named_file_must_exist(self, tmp_path):
        assert [f"OTELCTX_CONFIG: there is no file {str(tmp_path / 'none.toml')!r}"] == problems(
            tmp_path, OTELCTX_CONFIG="none.toml"
        )

    def test_all_mistakes_of_all_sources_are_shown_together(self, tmp_path):
        toml = write(tmp_path / "otelctx.toml", "[otelctx.fields.tenant]\nremot = true\nmax_length = 0\n")
        pyproject = write(tmp_path / "pyproject.toml", "[tool.otelctx]\nstrict = 1\n")

        assert {
            f"{pyproject}: tool.otelctx.strict: expected true or false, got 1",
            f"{toml}: otelctx.fields.tenant.remot: unknown key; did you mean 'remote'?",
            f"{toml}: otelctx.fields.tenant.max_length: expected an integer of at least 1, got 0",
            "OTELCTX_STRICT: strict: expected true or false, got 'on'",
        } == {*problems(tmp_path, OTELCTX_STRICT="on")}

    def test_two_fields_that_claim_the_same_header_are_refused(self, tmp_path):
        path = write(tmp_path / "otelctx.toml", "[otelctx.fields.tenant]\nremote = true\nheader = 'x-request-id'\n")

        assert [f"{path}: Fields 'request_id' and 'tenant' both claim the header 'x-request-id'"] == problems(tmp_path)

    def test_a_contradiction_between_sources_names_both(self, tmp_path):
        path = write(tmp_path / "otelctx.toml", "[otelctx.fields.tenant]\nremote = true\nheader = 'x-tenant'\n")
        (problem,) = problems(tmp_path, OTELCTX_FIELDS="tenant:remote=false")

        assert problem.startswith(f"{path}: otelctx.fields.tenant, OTELCTX_FIELDS: fields.tenant: only a remote field")

    @pytest.mark.parametrize("text", ["max_length = 8", "type = 'int'", "pattern = '[0-9]+'"])
    def test_a_request_id_that_could_not_be_generated_is_refused(self, tmp_path, text):
        path = write(tmp_path / "otelctx.toml", f"[otelctx.fields.request_id]\n{text}\n")
        what = "the values that are generated for it would not fit; change type, max_length or pattern"

        assert [f"{path}: otelctx.fields.request_id: {what}"] == problems(tmp_path)

    def test_long_text_is_not_shown_whole(self, tmp_path):
        write(tmp_path / "otelctx.toml", f"[otelctx.fields.tenant]\nremote = 'pass{'x' * 50}word'\n")
        (problem,) = problems(tmp_path)

        assert "word" not in problem


class TestApply:
    """`apply` declares what is configured."""

    def test_fields_and_strict_mode_are_declared(self, tmp_path):
        config.apply(load(tmp_path, OTELCTX_FIELDS="tenant:remote", OTELCTX_STRICT="true"))
        registry = registries.registry()

        assert (Field("tenant", remote=True), True) == (registry.by_name["tenant"], registry.strict)

    def test_strict_mode_that_code_asked_for_stays(self):
        registries.declare(strict=True)
        config.apply(config.Settings())

        assert registries.registry().strict is True

    def test_a_contradiction_with_code_is_an_error_with_the_sources(self, tmp_path):
        registries.declare(Field("customer", attribute="tenant.id"))
        settings = load(tmp_path, OTELCTX_FIELDS="tenant:attribute=tenant.id")

        with pytest.raises(ConfigError, match="OTELCTX_FIELDS: Fields 'customer' and 'tenant' both claim"):
            config.apply(settings)
