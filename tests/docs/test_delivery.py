"""The example of docs/delivery.md runs, and its numbers are those of the code."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from otelctx.export import batching, pacing
from otelctx.export.batching import BatchSettings
from otelctx.export.settings import MEBIBYTE, SpoolSettings

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "delivery.md").read_text("utf-8")


def test_the_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (example,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    names: dict[str, Any] = {}
    exec(example.replace("/var/lib/shop", str(tmp_path)), names)
    names["provider"].get_tracer("tests").start_span("work").end()
    names["provider"].shutdown()
    assert [*(tmp_path / "telemetry" / "shop").glob("traces-*.sqlite3")]


def test_its_numbers_are_the_defaults() -> None:
    settings, batches = SpoolSettings(None), BatchSettings()
    said = [
        (f"({settings.shutdown_seconds:g}) for all signals", settings.shutdown_seconds),
        (f"| {settings.max_bytes // MEBIBYTE} MiB, encoded", settings.max_bytes),
        (f"| {settings.max_memory_bytes // MEBIBYTE} MiB | the oldest go (`memory_full`)", settings.max_memory_bytes),
        (f"`requests_per_second` ({settings.requests_per_second:g})", settings.requests_per_second),
        (f"| {batches.queue_size:,} items", batches.queue_size),
        (f"{batching._MORE_WHILE_BUSY:,} more wait", batching._MORE_WHILE_BUSY),
        (f"{pacing.MAX_ITEMS:,} items or {pacing.MAX_BYTES // MEBIBYTE} MiB", pacing.MAX_ITEMS),
        (f"after {pacing.FIRST_PAUSE_SECONDS:g} s, twice", pacing.FIRST_PAUSE_SECONDS),
        (f"up to {pacing.LONGEST_PAUSE_SECONDS:g} s, with jitter", pacing.LONGEST_PAUSE_SECONDS),
    ]
    assert [text for text, _ in said if text not in PAGE] == []
    assert (settings.max_age_seconds, batches.delay_seconds) == (2 * 86_400, 1.0)


def measured(name: str) -> Any:
    return json.loads((ROOT / "benchmarks" / "results" / f"{name}.json").read_text("utf-8"))


def test_what_was_measured_is_what_the_benchmarks_wrote() -> None:
    rows = []
    for name, length in (("delivery-60s", "60 s"), ("delivery-600s", "10 min")):
        for variant, found in measured(name)["outage"].items():
            is_ours = variant == "otelctx"
            lost = "0" if is_ours else f"{found['lost']:,} ({found['lost_percent']} %)"
            after = f"{found['seconds_until_all_was_there']} s |" if is_ours else "|"
            rows.append(f"| {length}, {variant} | {found['spans']:,} | {lost} | {found['duplicates']} | {after}")
            assert found["lost"] == 0 or not is_ours
    endings = measured("delivery-60s")["seconds_to_end"].values()
    rows.extend(f" | {taken['plain SDK']} | {taken['otelctx']} |" for taken in endings)
    numbers = ("kills", "ended", "acknowledged", "acknowledged_and_lost", "unacknowledged_and_lost", "duplicates")
    rows.extend(" | ".join(f"{run[number]:,}" for number in numbers) for run in measured("kills")["runs"])
    theirs, ours = (measured("delivery-600s")["outage"][variant] for variant in ("plain SDK", "otelctx"))
    rows.append(f"{ours['bytes_on_disk_at_the_end_of_the_outage'] // 1_000_000} MB were on disk")
    rows.append(f"otelctx took {ours['cpu_seconds']} s of processor time and the plain SDK {theirs['cpu_seconds']} s")
    assert [row for row in rows if row not in PAGE] == []
