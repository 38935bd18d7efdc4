"""Seals by configuration: who seals with what, whose seals are needed, and what a mistake does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import otelctx
from otelctx.core.state import current_request
from otelctx.errors import ConfigError
from otelctx.propagation import ingress, sealing
from otelctx.propagation.peers import peer_at
from otelctx.propagation.sealing import SEAL
from otelctx.setup import config, fail_closed

NEW, OLD = "n" * 32, "o" * 32


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / ".git").mkdir()
    return tmp_path


def write(project: Path, text: str) -> str:
    path = project / "otelctx.toml"
    path.write_text(text)
    return str(path)


def applied(project: Path, text: str, **environ: str) -> config.Settings:
    write(project, text)
    settings = config.load(environ, project)
    config.apply(settings)
    return settings


def problems(project: Path, text: str, **environ: str) -> list[str]:
    path = write(project, text)
    with pytest.raises(ConfigError) as raised:
        config.load(environ, project)
    return [line.removeprefix(f"{path}: otelctx.seal") for line in str(raised.value).splitlines()]


def sent() -> dict[str, str]:
    headers: dict[str, str] = {}
    with otelctx.request(user_id="alice"):
        otelctx.inject(headers)
    return headers


def user_of(headers: dict[str, Any], peer: str = "127.0.0.1") -> object:
    request = current_request(otelctx.extract(headers, peer=peer))
    assert request is not None
    return request.values.get("user_id")


class TestMode:
    def test_by_default_nothing_is_sealed_nor_loaded(self, project: Path) -> None:
        applied(project, "[otelctx]\nstrict = false\n")
        assert sealing.sealer() is None
        assert SEAL not in sent()["baggage"]
        script = f"""
import sys
from pathlib import Path
from otelctx.setup import config
config.apply(config.load({{}}, Path({str(project)!r})))
print([name for name in ("itsdangerous", "cryptography", "otelctx.propagation.seal") if name in sys.modules])
"""
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
        assert done.stdout.strip() == "[]"

    @pytest.mark.parametrize("mode", ["sign", "encrypt"])
    def test_what_leaves_is_sealed_and_needed_from_everybody(self, project: Path, mode: str) -> None:
        applied(project, f'[otelctx.seal]\nmode = "{mode}"\n', OTELCTX_SEAL_KEY=NEW)
        headers = sent()
        assert SEAL in headers["baggage"]
        assert ("alice" in headers["baggage"]) is (mode == "sign")
        assert (user_of(headers), user_of({"baggage": "user_id=alice"})) == ("alice", None)

    def test_off_says_nothing_even_with_a_key(self, project: Path) -> None:
        applied(project, '[otelctx.seal]\nmode = "off"\n', OTELCTX_SEAL_KEY=NEW)
        assert sealing.sealer() is None
        assert user_of({"baggage": "user_id=alice"}) == "alice"


class TestKeys:
    def test_from_a_file_the_first_one_seals_and_all_are_accepted(self, project: Path) -> None:
        (project / "keys").write_text(f"{OLD}\n")
        text = '[otelctx.seal]\nmode = "sign"\nkey_file = "keys"\n'
        applied(project, text)
        by_old = sent()
        (project / "keys").write_text(f"{NEW}\n{OLD}\n")
        applied(project, text)
        by_new = sent()
        assert (user_of(by_old), user_of(by_new)) == ("alice", "alice")
        (project / "keys").write_text(f"{NEW}\n")
        applied(project, text)
        assert (user_of(by_old), user_of(by_new)) == (None, "alice")


class TestName:
    def test_it_is_the_services(self, project: Path) -> None:
        applied(project, '[otelctx.seal]\nmode = "sign"\n', OTELCTX_SEAL_KEY=NEW, OTEL_SERVICE_NAME="shop")
        assert f"{SEAL}=shop." in sent()["baggage"]

    def test_or_the_projects(self, project: Path) -> None:
        (project / "pyproject.toml").write_text('[project]\nname = "warehouse"\n')
        applied(project, '[otelctx.seal]\nmode = "sign"\n', OTELCTX_SEAL_KEY=NEW)
        assert f"{SEAL}=warehouse." in sent()["baggage"]

    def test_or_the_one_that_is_given(self, project: Path) -> None:
        text = '[otelctx.seal]\nmode = "sign"\nname = "front"\n'
        applied(project, text, OTELCTX_SEAL_KEY=NEW, OTEL_SERVICE_NAME="shop")
        assert f"{SEAL}=front." in sent()["baggage"]


class TestRequire:
    def test_only_of_some_peers(self, project: Path) -> None:
        applied(project, '[otelctx.seal]\nmode = "sign"\nrequire = ["10.0.0.0/8"]\n', OTELCTX_SEAL_KEY=NEW)
        unsealed = {"baggage": "user_id=alice"}
        assert (user_of(unsealed, "10.1.2.3"), user_of(unsealed, "127.0.0.1")) == (None, "alice")

    def test_beside_rules_for_what_comes_in(self, project: Path) -> None:
        rules = '[[otelctx.ingress.rules]]\npeers = ["203.0.113.0/24"]\nfields = ["*"]\n'
        applied(project, f'{rules}[otelctx.seal]\nmode = "sign"\n', OTELCTX_SEAL_KEY=NEW)
        assert user_of(sent(), "203.0.113.9") == "alice"
        assert user_of({"baggage": "user_id=alice"}, "203.0.113.9") is None
        assert user_of(sent(), "198.51.100.1") is None


class TestWindow:
    def test_age_and_leeway_are_as_given(self, project: Path) -> None:
        settings = applied(project, '[otelctx.seal]\nmode = "sign"\nmax_age = 7\nleeway = 0\n', OTELCTX_SEAL_KEY=NEW)
        assert settings.seal is not None
        assert (settings.seal.sealer.max_age, settings.seal.sealer.leeway) == (7, 0)


class TestMistakes:
    @pytest.mark.parametrize(
        ("text", "problem"),
        [
            ('mode = "on"', ".mode: expected 'off', 'sign' or 'encrypt', got 'on'"),
            (
                'mode = "sign"',
                ".mode: nothing can be sealed without a key; give seal.key_file, or the key in OTELCTX_SEAL_KEY",
            ),
            (f'mode = "sign"\nkey = "{NEW}"\nmax_age = 0', ".max_age: expected an integer of at least 1, got 0"),
            (f'mode = "sign"\nkey = "{NEW}"\nleeway = -1', ".leeway: expected an integer of at least 0, got -1"),
            (f'mode = "sign"\nkey = "{NEW}"\nrequire = "*"', ".require: expected a list of strings, got '*'"),
            (f'mode = "sign"\nkey = "{NEW}"\nrequires = []', ".requires: unknown key; did you mean 'require'?"),
        ],
    )
    def test_they_are_shown_with_the_key(self, project: Path, text: str, problem: str) -> None:
        assert problems(project, f"[otelctx.seal]\n{text}\n") == [problem]

    def test_a_peer_that_is_none(self, project: Path) -> None:
        text = f'[otelctx.seal]\nmode = "sign"\nkey = "{NEW}"\nrequire = ["10.0.0.0/33"]\n'
        (problem,) = problems(project, text)
        assert problem.startswith(".require: expected ")

    def test_a_secret_is_never_shown(self, project: Path) -> None:
        (problem,) = problems(project, '[otelctx.seal]\nmode = "sign"\nkey = "s3cret"\n')
        assert "s3cret" not in problem

    def test_without_the_libraries_it_says_what_to_install(self, project: Path) -> None:
        write(project, f'[otelctx.seal]\nmode = "sign"\nkey = "{NEW}"\n')
        script = f"""
import sys
from pathlib import Path
from otelctx.setup import config
sys.modules["itsdangerous"] = None
try:
    config.load({{}}, Path({str(project)!r}))
except config.ConfigError as error:
    print(error)
"""
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
        assert "sealing needs itsdangerous; pip install 'otelctx[seal]'" in done.stdout

    def test_while_there_is_one_nobody_is_trusted_and_no_field_leaves(self, project: Path) -> None:
        problems(project, '[otelctx.seal]\nmode = "encrypt"\n')
        fail_closed.hide({}, project)
        assert ingress.ingress().of(peer_at("127.0.0.1")).fields == {"request_id"}
        headers: dict[str, str] = {}
        with otelctx.request(user_id="alice"):
            otelctx.inject(headers, destination="http://127.0.0.1")
        assert headers == {}
