"""
Results: one JSON file for each group, in which each Python has its own part and each case its own entry.

Measuring some of the cases again leaves the others as they were.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Final

from benchmarks.harness.case import Group
from benchmarks.harness.ratios import Spread, summary
from benchmarks.harness.rounds import ROOT, Effort, Measured

RESULTS: Final = ROOT / "benchmarks" / "results"


def summarised(group: Group, measured: Measured, effort: Effort) -> dict[str, Any]:
    """Return what is kept of *measured*, by name of the case."""
    about = {
        "date": datetime.now(timezone.utc).date().isoformat(),
        "turns": effort.turns,
        "machine": machine(),
        "versions": measured.versions,
    }
    return {name: {**about, **summary(group.cases[name], turns)} for name, turns in measured.cases.items()}


def machine() -> dict[str, Any]:
    """Return what the numbers depend on, beside the software that is measured."""
    return {"system": platform.system(), "architecture": platform.machine(), "cores": os.cpu_count(), "load": load()}


def load() -> float | None:
    """Return how many processes have wanted a core in the last minute, where the system tells."""
    return round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None


def keep(group: str, python: str, cases: dict[str, Any], folder: Path = RESULTS) -> Path:
    """Write *cases* into the file of *group*, in place of what the same Python had for them before."""
    path = folder / f"{group}.json"
    kept = read(path)
    series = ".".join(python.split(".")[:2])
    mine = kept.setdefault(series, {"python": python, "cases": {}})
    mine["python"] = python
    mine["cases"] |= cases
    folder.mkdir(exist_ok=True)
    ordered = dict(sorted(kept.items(), key=lambda item: int(item[0].split(".")[1])))
    path.write_text(json.dumps(_rounded(ordered), indent=1, ensure_ascii=False) + "\n", "utf-8")
    return path


def read(path: Path) -> dict[str, Any]:
    """Return what the file has; nothing where there is none."""
    kept: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.exists() else {}
    return kept


def committed(group: str) -> dict[str, Any]:
    """Return the results of *group* as the last commit has them; those on disk where that cannot be asked."""
    path = RESULTS / f"{group}.json"
    command = ["git", "show", f"HEAD:{path.relative_to(ROOT).as_posix()}"]
    try:
        shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return read(path)
    found: dict[str, Any] = json.loads(shown)
    return found


def before(kept: dict[str, Any], python: str, case: str, measure: str, contender: str) -> Spread | None:
    """Return the ratio that *kept* has, of the same series of Python."""
    series = ".".join(python.split(".")[:2])
    ratios = kept.get(series, {}).get("cases", {}).get(case, {}).get("ratios", {})
    ratio = ratios.get(measure, {}).get(contender)
    return None if ratio is None else Spread(**ratio)


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(one) for key, one in value.items()}
    return float(f"{value:.4g}") if isinstance(value, float) else value
