"""
What redaction and seals cost: a request with a field clear, masked and hashed, and with baggage plain and sealed.

All variants take turns in one process, so that what else the machine does hits all alike.
"""

# ruff: noqa: T201 - a script: the table names what is measured, and this prints it

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import otelctx
from otelctx import Field
from otelctx.core.redaction import Redact, use_keys
from otelctx.core.registry import Registry, registry, replace
from otelctx.core.state import current_layer
from otelctx.propagation import codec
from otelctx.propagation.seal import Sealer
from otelctx.signals.attributes import attributes_of
from otelctx.signals.log_records import stamps

RESULTS = Path(__file__).parent / "results" / "privacy.json"
KEY = b"k" * 32
MEMBERS = {"request_id": "01890a5d-ac96-774b-bcce-b302099a8057", "user_id": "alice@example.org", "tenant": "acme"}
CALLS = 2000

Measured = dict[str, Callable[[], object]]


def of_redaction(redact: Redact | None) -> Measured:
    """Return what a request does with a field that has *redact*."""
    declared = Registry([*registry().by_name.values()])
    before = replace(declared)
    otelctx.declare(Field("user_id", remote=True, attribute="user.id", redact=redact))
    mine = replace(before)

    def under(call: Callable[[], object]) -> Callable[[], object]:
        def run() -> None:
            own = replace(mine)
            for _ in range(CALLS):
                call()
            replace(own)

        return run

    layer = current_layer()
    assert layer is not None  # noqa: S101 - for the type checker
    name = f"field {redact or 'clear'}"
    return {
        f"{name}: log record": under(stamps),
        f"{name}: span": under(lambda: attributes_of(layer, registry().in_spans)),
    }


def of_seals() -> Measured:
    """Return what baggage costs on its way out and in."""
    sealers = {"signed": Sealer([KEY], "shop"), "encrypted": Sealer([KEY], "shop", encrypts=True)}
    plain, _ = codec.encode(MEMBERS)

    def repeated(call: Callable[[], object]) -> Callable[[], object]:
        def run() -> None:
            for _ in range(CALLS):
                call()

        return run

    found = {
        "baggage plain: out": repeated(lambda: codec.encode(MEMBERS)),
        "baggage plain: in": repeated(lambda: codec.decode([plain])),
    }
    for name, sealer in sealers.items():
        header, _ = sealer.encode(MEMBERS, None, "request_id")
        print(f"A header of {len(plain)} bytes has {len(header)} when it is {name}.")
        found[f"baggage {name}: out"] = repeated(lambda sealer=sealer: sealer.encode(MEMBERS, None, "request_id"))  # type: ignore[misc]
        found[f"baggage {name}: in"] = repeated(
            lambda sealer=sealer, header=header: sealer.opened(*codec.decode([header]))  # type: ignore[misc]
        )
    return found


def measured(turns: int) -> dict[str, list[float]]:
    """Return microseconds by what was done, one number for each turn."""
    use_keys([KEY])
    with otelctx.request(user_id="alice@example.org", step="charge"):
        calls: Measured = {}
        for redact in (None, "drop", "mask", "hash"):
            calls |= of_redaction(redact)  # type: ignore[arg-type]
        calls |= of_seals()
        found: dict[str, list[float]] = {name: [] for name in calls}
        for _ in range(turns):
            for name, call in calls.items():
                began = time.perf_counter()
                call()
                found[name].append((time.perf_counter() - began) / CALLS * 1e6)
    return found


def main() -> None:
    """Measure, print the table and keep the numbers."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--turns", type=int, default=30)
    found = measured(arguments.parse_args().turns)
    print("| | microseconds | quartiles |\n|---|---:|---:|")
    for name, times in found.items():
        low, median, high = statistics.quantiles(times, n=4)
        print(f"| {name} | {median:.1f} | {low:.1f}-{high:.1f} |")
    about = {name: version(name) for name in ("opentelemetry-api", "itsdangerous", "cryptography")}
    RESULTS.parent.mkdir(exist_ok=True)
    numbers = {"python": platform.python_version(), **about, "unit": "microseconds per call", "measured": found}
    RESULTS.write_text(json.dumps(numbers, indent=1) + "\n", "utf-8")
    print(f"On {statistics.mean(map(len, found.values())):.0f} turns of {CALLS} calls each; numbers in {RESULTS.name}.")


if __name__ == "__main__":
    main()
