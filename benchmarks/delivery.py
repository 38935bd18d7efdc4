"""
What an outage of the collector costs: spans lost and duplicated, and the time that a program takes to end.

A service makes spans at a steady rate, its collector is stopped and started again, and every span is looked for by its
id at the collector. The plain SDK runs at the same time, with a collector of its own, so that whatever the machine does
hits both. ``make bench-delivery`` runs it; ``--minutes 10`` makes the outage longer.
"""

# ruff: noqa: D103, S101, S607, T201 - a script: the table names what is measured, and this prints it

from __future__ import annotations

import argparse
import json
import os
import platform
import socket
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.delivery_collectors import Collector, LocalCollector, RealCollector, free_port

HERE = Path(__file__).parent
VARIANTS = ("plain SDK", "otelctx")
BEFORE_SECONDS = AFTER_SECONDS = 5.0
# Who has nothing more to send sends nothing for so long.
QUIET_SECONDS = 10.0


def outage(variant: str, collector: Collector, folder: Path, seconds: float, rate: float) -> dict[str, Any]:
    """Run one service through an outage of *seconds*, and count what became of its spans."""
    folder.mkdir()
    collector.start()
    service = subprocess.Popen(
        [sys.executable, HERE / "delivery_service.py", variant, f"{collector.url}/v1/traces", folder, str(rate)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=(folder / "log").open("wb"),
        text=True,
    )
    assert service.stdin is not None
    assert service.stdout is not None
    service.stdout.readline()
    time.sleep(BEFORE_SECONDS)
    collector.stop()
    time.sleep(seconds)
    waiting = sum(file.stat().st_size for file in folder.glob("spool/**/*.sqlite3*"))
    collector.start()
    back = time.monotonic()
    time.sleep(AFTER_SECONDS)
    print("pause", file=service.stdin, flush=True)
    service.stdout.readline()
    ended = set((folder / "ended").read_text().split())
    last_news, delivered = time.monotonic(), 0
    while delivered < len(ended) and time.monotonic() - last_news < QUIET_SECONDS:
        time.sleep(0.2)
        now = collector.look()
        if now != delivered:
            last_news, delivered = time.monotonic(), now
    recovered = last_news - back
    print("end", file=service.stdin, flush=True)
    end = json.loads(service.stdout.readline())
    service.wait(60)
    collector.stop()
    collector.look()
    lost = len(ended - set(collector.seen))
    return {
        "spans": len(ended),
        "lost": lost,
        "lost_percent": round(100 * lost / len(ended), 2),
        "duplicates": sum(collector.seen.values()) - len(collector.seen),
        "seconds_until_all_was_there": round(recovered, 1),
        "bytes_on_disk_at_the_end_of_the_outage": waiting,
        "cpu_seconds": round(end["cpu_seconds"], 1),
    }


def ending(variant: str, url: str, folder: Path) -> float:
    """Return how many seconds a small program takes from its last line to its end."""
    program = subprocess.Popen(
        [sys.executable, HERE / "delivery_program.py", variant, url, folder],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert program.stdout is not None
    last_line = float(program.stdout.readline())
    program.wait(300)
    return round(time.monotonic() - last_line, 2)


def endings(folder: Path) -> dict[str, dict[str, float]]:
    """Return those seconds with a collector that is there, one that is not, and one that never answers."""
    collector = LocalCollector(folder / "there")
    with socket.create_server(("127.0.0.1", 0), backlog=64) as silent:
        collector.start()
        urls = {
            "collector there": collector.url,
            "connection refused": f"http://127.0.0.1:{free_port()}",
            "accepts and never answers": f"http://127.0.0.1:{silent.getsockname()[1]}",
        }
        taken = {
            name: {variant: ending(variant, url, folder / f"{number} {variant}") for variant in VARIANTS}
            for number, (name, url) in enumerate(urls.items())
        }
        collector.stop()
    return taken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="of outage")
    parser.add_argument("--minutes", type=float, default=0.0, help="the same in minutes")
    parser.add_argument("--rate", type=float, default=1_000.0, help="spans a second")
    parser.add_argument("--only", choices=VARIANTS, help="one variant")
    arguments = parser.parse_args()
    seconds = arguments.minutes * 60 or arguments.seconds
    variants = [arguments.only] if arguments.only else [*VARIANTS]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        binary = RealCollector.binary()
        collectors = [
            LocalCollector(folder / f"collector {variant}")
            if binary is None
            else RealCollector(folder / f"collector {variant}", binary)
            for variant in variants
        ]
        with ThreadPoolExecutor() as threads:
            runs = [
                threads.submit(outage, variant, collector, folder / variant, seconds, arguments.rate)
                for variant, collector in zip(variants, collectors, strict=True)
            ]
            outages = {variant: run.result() for variant, run in zip(variants, runs, strict=True)}
        result = {
            "commit": subprocess.run(
                ["git", "rev-parse", "--short", "HEAD"], cwd=HERE, capture_output=True, text=True, check=False
            ).stdout.strip(),
            "python": platform.python_version(),
            "processors": os.cpu_count(),
            "collector": collectors[0].version,
            "outage_seconds": seconds,
            "spans_per_second": arguments.rate,
            "outage": outages,
            "seconds_to_end": endings(folder),
        }
    print(json.dumps(result, indent=2))
    path = HERE / "results" / f"delivery-{int(seconds)}s.json"
    path.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
