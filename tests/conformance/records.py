"""
Records: what runs of the kit have found, a file for each Python. A run writes them, never a hand.
"""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Final

from tests.conformance.boundary import CLAIMS, Boundary

FOLDER: Final = Path(__file__).parents[2] / "docs" / "boundaries"

HOLDS: Final = "✓"
FAILS: Final = "✗"
NOT_APPLICABLE: Final = "–"  # noqa: RUF001 - a dash as in tables
NOT_RUN: Final = "?"

# What a result may depend on beside Python.
_PACKAGES: Final = ("opentelemetry-api", "anyio", "fastapi", "gevent", "starlette", "trio", "uvicorn", "uvloop")

Results = Mapping[tuple[str, str], bool]


@dataclass(frozen=True)
class Record:
    """
    What one Python has given.

    Attributes:
        python: its name and version.
        packages: versions of what the kit runs with.
        boundaries: by the id of a row, a mark for each claim in the order of `CLAIMS`.
    """

    python: str
    packages: Mapping[str, str]
    boundaries: Mapping[str, str]

    def mark(self, row: Boundary, claim: str) -> str:
        """Return what was found; a cell that was not run is not taken for one that holds."""
        marks = self.boundaries.get(row.id, NOT_RUN * len(CLAIMS))
        return NOT_APPLICABLE if claim in row.without else marks[list(CLAIMS).index(claim)]


def mark_of(row: Boundary, claim: str, results: Results) -> str:
    """Return the mark of one cell."""
    if claim in row.without:
        return NOT_APPLICABLE
    result = results.get((row.id, claim))
    return NOT_RUN if result is None else HOLDS if result else FAILS


def of_this_python(rows: Iterable[Boundary], results: Results) -> Record:
    """Return the record of the run that has just given *results*."""
    return Record(
        f"{platform.python_implementation()} {platform.python_version()}",
        {name: version(name) for name in _PACKAGES},
        {row.id: "".join(mark_of(row, claim, results) for claim in CLAIMS) for row in rows},
    )


def write(record: Record) -> None:
    """Keep *record*, in the place of an earlier one of this Python."""
    FOLDER.mkdir(exist_ok=True)
    text = json.dumps(asdict(record), indent=1, ensure_ascii=False)
    _path().write_text(text + "\n", "utf-8")


def read() -> list[Record]:
    """Return all records, of the oldest Python first."""
    paths = sorted(FOLDER.glob("*.json"), key=lambda path: [int(part) for part in path.stem.split(".")])
    return [Record(**json.loads(path.read_text("utf-8"))) for path in paths]


def read_of_this_python() -> Record | None:
    """Return the record of this Python, if there is one."""
    return Record(**json.loads(_path().read_text("utf-8"))) if _path().exists() else None


def _path() -> Path:
    return FOLDER / f"{sys.version_info.major}.{sys.version_info.minor}.json"
