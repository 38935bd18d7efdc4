"""
The oldest OpenTelemetry that pyproject.toml allows, and the tests of what meets it most: all else runs on the newest.

Run by ``make oldest``. It needs the package registry, so it is no part of ``make test``. The environment is kept in
``.cache`` until pyproject.toml changes.
"""

import hashlib
import os
import re
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROJECT = ROOT / "pyproject.toml"

# All but what reads OTEL_CONFIG_FILE, which is younger than the oldest that works without it.
EXTRAS = "asgi,cli,collector,demo,otlp,seal"
TESTS = ["core", "signals", "propagation", "integrations", "setup/test_instrumentations.py"]


def constraints() -> list[str]:
    """Return each lower bound of an OpenTelemetry package as the only version."""
    bounds = re.findall(r'"(opentelemetry-[a-z0-9-]+)>=([0-9a-z.]+)"', PROJECT.read_text("utf-8"))
    assert len({version for name, version in bounds if name == "opentelemetry-api"}) == 1
    return sorted({f"{name}=={version}" for name, version in bounds if name != "opentelemetry-configuration"})


def environment() -> Path:
    """Return the Python that has the oldest OpenTelemetry; make it if there is none."""
    made_of = PROJECT.read_bytes() + Path(__file__).read_bytes() + sys.version.encode()
    folder = ROOT / ".cache" / f"oldest-{hashlib.sha256(made_of).hexdigest()[:12]}"
    python = folder / "bin" / "python"
    ready = folder / "ready"
    if not ready.exists():
        venv.create(folder, clear=True, with_pip=True, upgrade_deps=True)
        pinned = folder / "constraints.txt"
        pinned.write_text("\n".join(constraints()), "utf-8")
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--constraint", pinned]
        subprocess.run([*pip, "--editable", f".[{EXTRAS}]", "--group", "test"], cwd=ROOT, check=True)
        ready.touch()
    return python


def main() -> None:
    python = environment()
    folders = [f"tests/{name}" for name in TESTS]
    options = ["-q", "-p", "no:cacheprovider", *sys.argv[1:]]
    os.chdir(ROOT)
    os.execv(python, [str(python), "-m", "pytest", *options, *folders])


if __name__ == "__main__":
    main()
