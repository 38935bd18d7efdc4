"""Where a sample is counted."""

from __future__ import annotations

import logging
import sys

from benchmarks.harness.shares import layer_of


class Here(logging.Handler):
    def emit(self, record):
        self.frame = sys._getframe()


def test_a_sample_counts_for_the_innermost_file_that_is_known():
    handler = Here()
    handler.handle(logging.makeLogRecord({}))

    # This file is no layer; its caller, logging, is one.
    assert layer_of(handler.frame) == "stdlib logging"


def test_a_stack_without_a_known_file_is_other():
    assert layer_of(None) == "other"
