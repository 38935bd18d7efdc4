"""
`make matrix`: run every cell, and write their table.

Workers of `multiprocessing` import the main module again, so this one is nothing but the way to the other.
"""

import sys

if __name__ == "__main__":
    from tests.conformance.table import main

    sys.exit(main())
