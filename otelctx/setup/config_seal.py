"""
The section ``[otelctx.seal]``: whether what leaves is sealed, and whose seal is needed on what comes in.

While anything in it is wrong, nobody is trusted; see `fail_closed`.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypedDict

from msgspec import Meta

from otelctx.propagation.peers import Peers
from otelctx.setup.config_ingress import peers_of
from otelctx.setup.config_keys import read_keys
from otelctx.setup.config_schema import Count, Text, Texts, check_section
from otelctx.setup.config_source import Source
from otelctx.setup.environment_variables import OTELCTX_SEAL_KEY

if TYPE_CHECKING:
    from otelctx.propagation.seal import Sealer


class SealTable(TypedDict, total=False):
    """The table ``[otelctx.seal]``."""

    mode: Annotated[Literal["off", "sign", "encrypt"], Meta(description="'off', 'sign' or 'encrypt'")]
    key_file: Text
    key: Text
    name: Text
    max_age: Count
    leeway: Annotated[int, Meta(ge=0, description="an integer of at least 0")]
    require: Texts


@dataclass(frozen=True)
class Seal:
    """
    What the section says.

    Attributes:
        sealer: what makes and judges seals.
        require: the peers whose fields need one.
    """

    sealer: Sealer
    require: Peers


def build_seal(
    sources: Sequence[Source], environ: Mapping[str, str], directory: Path, problems: list[str]
) -> Seal | None:
    """Return what *sources* say, or None where nothing is to be sealed; mistakes are added to *problems*."""
    before = len(problems)
    given = check_section(sources, "seal", SealTable, problems)
    keys = read_keys("seal", given, directory, problems)
    mode, said_in = given.get("mode", ("off", None))
    patterns, require_in = given.get("require", (["*"], said_in))
    require = Peers(()) if require_in is None else peers_of(require_in.at("seal", "require"), patterns, problems)
    if mode == "off" or said_in is None:
        return None
    spot = said_in.at("seal", "mode")
    if not keys and len(problems) == before:
        where = f"give seal.key_file, or the key in {OTELCTX_SEAL_KEY}"
        problems.append(f"{spot}: nothing can be sealed without a key; {where}")
    try:
        # Loaded only where it is asked for; both libraries are an extra.
        from otelctx.propagation.seal import Sealer  # noqa: PLC0415
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "otelctx":
            raise
        problems.append(f"{spot}: sealing needs {error.name}; pip install 'otelctx[seal]'")
        return None
    if require is None or len(problems) > before:
        return None
    options: dict[str, Any] = {name: given[name][0] for name in ("max_age", "leeway") if name in given}
    name = given["name"][0] if "name" in given else _service(environ, directory)
    return Seal(Sealer(keys, name, encrypts=mode == "encrypt", **options), require)


def _service(environ: Mapping[str, str], directory: Path) -> str:
    named = environ.get("OTEL_SERVICE_NAME", "").strip()
    if named:
        return named
    from otelctx.setup.resource import service_name  # noqa: PLC0415 - loads the SDK

    return service_name(sys.orig_argv, directory) or ""
