"""
A program that is set up as `otelctx run` does it: it runs the job that its arguments name, and prints the result.
"""

from __future__ import annotations

import json
import sys

from otelctx.setup import install
from tests.conformance import jobs


def main() -> None:
    install.pre_instrument()
    name, *arguments = sys.argv[1:]
    print(json.dumps(getattr(jobs, name)(*arguments)))


if __name__ == "__main__":
    main()
