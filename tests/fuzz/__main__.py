"""
Coverage-guided fuzzing of the codec with atheris, until it is stopped or the time is over.

``python -m tests.fuzz -max_total_time=600 FOLDER …`` takes libFuzzer's options. New inputs go to the first directory.
"""

from __future__ import annotations

import logging
import sys

import atheris

with atheris.instrument_imports(include=["otelctx.propagation.codec"]):
    import otelctx.propagation.codec  # noqa: F401 - instrumented when it is first imported

from tests.fuzz.codec import check

atheris.enabled_hooks.add("RegEx")
logging.getLogger("otelctx").setLevel(logging.CRITICAL)
atheris.Setup(sys.argv, check)
atheris.Fuzz()
