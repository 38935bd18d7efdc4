"""The examples and tables of docs/configuration.md are true."""

from __future__ import annotations

import re
import shlex
from dataclasses import asdict
from pathlib import Path

import pytest

from otelctx.core.fields import REQUEST_ID, Field
from otelctx.errors import ConfigError
from otelctx.export.settings import SpoolSettings
from otelctx.propagation.destination import parse
from otelctx.propagation.ingress import EVERYTHING, STRANGER, Mode, Trust
from otelctx.propagation.peers import peer_at
from otelctx.setup import config, config_egress, environment_variables
from otelctx.setup.config_egress import EgressTable
from otelctx.setup.config_export import ExportTable
from otelctx.setup.config_ingress import IngressTable, RuleTable
from otelctx.setup.config_redaction import RedactionTable
from otelctx.setup.config_schema import FieldTable, OtelctxTable
from otelctx.setup.config_seal import SealTable

PAGE = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```(\w+)\n(.*?)```", PAGE, re.DOTALL)


def example(language: str, number: int = 0) -> str:
    return [text for kind, text in EXAMPLES if kind == language][number]


def rows(heading: str) -> list[list[str]]:
    """Return the cells of the table whose first heading is *heading*, code marks taken off."""
    table = PAGE.split(f"| {heading} |", 1)[1].split("\n\n", 1)[0]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table.splitlines()[2:]]


@pytest.fixture
def project(tmp_path):
    (tmp_path / ".git").mkdir()
    return tmp_path


def test_the_first_example_declares_two_fields(project):
    (project / "otelctx.toml").write_text(example("toml"))
    tenant, step = config.load({}, project).fields

    assert (
        tenant.name,
        tenant.remote,
        tenant.header,
        tenant.attribute,
        tenant.max_length,
    ) == ("tenant", True, "x-tenant", "tenant.id", 64)
    assert [tenant.accept("a-1"), tenant.accept("A")] == ["a-1", None]
    assert Field("step") == step


def test_the_pyproject_example_shortens_request_ids(project):
    (project / "pyproject.toml").write_text(example("toml", 1))
    settings = config.load({}, project)
    (field,) = settings.fields

    assert (True, 36, REQUEST_ID.header) == (settings.strict, field.max_length, field.header)


def test_the_yaml_example_works_in_opentelemetrys_file(project):
    (project / "otel.yaml").write_text(example("yaml"))
    settings = config.load({"OTEL_CONFIG_FILE": "otel.yaml"}, project)

    assert (True, (Field("step"), Field("tenant", remote=True, max_length=64))) == (settings.strict, settings.fields)


def test_the_environment_example_declares_four_fields(project):
    words = [word for line in example("sh").splitlines() for word in shlex.split(line)[1:]]
    settings = config.load(dict(word.split("=", 1) for word in words), project)

    assert (settings.strict, [field.name for field in settings.fields]) == (True, ["tenant", "step", "attempt", "sku"])
    assert settings.fields[-1].accept("ABC") == "ABC"


def test_the_redaction_example_hashes_and_drops(project):
    (project / "key").write_text("k" * 32)
    (project / "otelctx.toml").write_text(example("toml", 2).replace("/run/secrets/otelctx-redaction", "key"))
    settings = config.load({}, project)

    assert [field.redact for field in settings.fields] == ["hash", {"logs": "drop", "spans": "mask"}]
    assert settings.redaction_keys == (b"k" * 32,)


def test_the_ingress_example_believes_few(project):
    (project / "otelctx.toml").write_text(example("toml", 3))
    policy = config.load({}, project).ingress

    assert policy is not None
    assert [policy.of_named(peer) for peer in ("198.51.100.7", "10.66.0.1", "kafka://a.b", "10.1.1.1", "8.8.8.8")] == [
        Trust(trace=Mode.RESTART, fields=frozenset({"request_id", "tenant"})),
        STRANGER,
        EVERYTHING,
        EVERYTHING,
        STRANGER,
    ]


def test_the_egress_example_lets_out_what_it_says(project):
    (project / "otelctx.toml").write_text(example("toml", 4))
    policy = config.load({}, project).egress
    assert policy is not None

    def allowed(url: str) -> tuple[list[str], bool]:
        decision = policy.decide(parse(url))
        return sorted(decision.fields), decision.trace

    assert allowed("http://api.partner.example") == allowed("http://x.corp.example") == (["*"], True)
    assert allowed("https://billing.example") == allowed("kafka://orders") == (["request_id", "tenant"], True)
    assert allowed("http://billing.example") == allowed("http://legacy") == allowed("process://curl") == ([], True)
    assert allowed("https://tracker.example:8443") == ([], False)
    assert allowed("http://orders") == (["*"], True)


def test_the_seal_example_signs_and_asks_own_networks_for_it(project):
    (project / "key").write_text("k" * 32)
    (project / "otelctx.toml").write_text(example("toml", 5).replace("/run/secrets/otelctx-seal", "key"))
    seal = config.load({}, project).seal

    assert (seal.sealer.encrypts, seal.sealer.max_age, seal.sealer.leeway) == (False, 300, 30)
    assert (peer_at("10.0.0.1") in seal.require, peer_at("203.0.113.5") in seal.require) == (True, False)


def test_the_mistakes_are_shown_as_they_really_look(project):
    toml = "[otelctx.fields.tenant]\nmax_lenght = 5\nmetric_limit = 'abc'\n"
    (project / "otelctx.toml").write_text(toml)

    with pytest.raises(ConfigError) as raised:
        config.load({"OTELCTX_STRICT": "ture"}, project)

    shown = str(raised.value).replace(str(project), "/app").splitlines()
    assert sorted(example("text").splitlines()) == sorted(shown)


def test_the_tables_have_every_key():
    assert [*OtelctxTable.__annotations__] == [row[0].strip("`") for row in rows("in `[otelctx]`")]
    assert [*FieldTable.__annotations__] == [row[0].strip("`") for row in rows("in `[otelctx.fields.NAME]`")]
    assert [*RedactionTable.__annotations__] == [row[0].strip("`") for row in rows("in `[otelctx.redaction]`")]
    assert [*SealTable.__annotations__] == [row[0].strip("`") for row in rows("in `[otelctx.seal]`")]
    assert [*IngressTable.__annotations__] == [row[0].strip("`") for row in rows("in `[otelctx.ingress]`")]
    assert [*ExportTable.__annotations__] == [row[0].strip("`") for row in rows("in `[otelctx.export]`")]
    assert [*RuleTable.__annotations__] == [row[0].strip("`") for row in rows("in `[[otelctx.ingress.rules]]`")]
    assert [*EgressTable.__annotations__] == [row[0].strip("`") for row in rows("in `[otelctx.egress]`")]
    assert [*config_egress.RuleTable.__annotations__] == [
        row[0].strip("`") for row in rows("in `[[otelctx.egress.rules]]`")
    ]


def test_the_table_of_fields_has_the_real_defaults():
    words = {"true": True, "false": False, "none": None, "the name": None, '"str"': str}
    for name, _, default, _ in rows("in `[otelctx.fields.NAME]`"):
        text = default.strip("`")
        field_key = "validate" if name == "`pattern`" else name.strip("`")

        assert getattr(Field("x"), field_key) == (int(text) if text.isdigit() else words[text])


def test_the_table_of_delivery_has_the_real_defaults():
    words = {"true": True, "false": False, "none": None}
    defaults = asdict(SpoolSettings(None)) | {"spool": True}
    for name, _, default, _ in rows("in `[otelctx.export]`"):
        text = default.strip("`")
        assert defaults[name.strip("`")] == (int(text) if text.isdigit() else words[text])


def test_the_delivery_example_names_a_place_and_a_bound(project):
    (project / "otelctx.toml").write_text(example("toml", 6))
    expected = SpoolSettings(Path("/var/lib/shop/telemetry"), max_bytes=2_000_000_000)

    assert expected == config.load({}, project).export


def test_the_table_of_variables_has_every_variable():
    declared = {name for name in vars(environment_variables) if name.startswith("OTELCTX_")}

    assert declared == {row[0].strip("`") for row in rows("variable")}


def test_every_example_is_one_of_those_above():
    assert [language for language, _ in EXAMPLES] == [
        "toml",
        "toml",
        "yaml",
        "sh",
        "toml",
        "toml",
        "toml",
        "toml",
        "toml",
        "text",
    ]
