from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otelctx.errors import CollectorError
from otelctx.story.assembly import assemble
from otelctx.story.records import as_nanoseconds, read_logs, read_spans

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
SPAN_KEYS = ["trace_id", "span_id", "parent_span_id", "name", "kind", "service", "start_unix_nano", "end_unix_nano"]
SPAN_KEYS += ["status", "request_id", "attributes", "events", "links", "resource"]
LOG_KEYS = ["time_unix_nano", "severity_number", "severity_text", "body", "event_name", "service", "scope", "trace_id"]
LOG_KEYS += ["span_id", "request_id", "attributes"]


class TestReading:
    def test_missing_attributes_have_neutral_values(self):
        (span,) = read_spans({"spans": [{}]})
        assert (span.name, span.service, span.kind, span.start, span.error) == (
            "(unnamed span)",
            "unknown",
            "internal",
            None,
            False,
        )
        (log,) = read_logs({"logs": [{"severity_number": 17, "observed_time_unix_nano": "7"}]})
        assert (log.level, log.error, log.time, log.body) == ("ERROR", True, 7, "")

    @settings(max_examples=200, deadline=None)
    @given(
        st.lists(st.dictionaries(st.sampled_from(SPAN_KEYS), JSON) | JSON, max_size=4),
        st.lists(st.dictionaries(st.sampled_from(LOG_KEYS), JSON) | JSON, max_size=4),
    )
    def test_no_content_of_the_lists_is_an_error(self, spans, logs):
        assemble({"spans": spans, "logs": logs})

    @pytest.mark.parametrize("answer", [None, [], "story", {}, {"spans": []}, {"spans": {}, "logs": []}])
    def test_an_answer_that_is_no_story_is_an_error(self, answer):
        with pytest.raises(CollectorError, match="is it an otelctx collector"):
            assemble(answer)


class TestAsNanoseconds:
    @pytest.mark.parametrize(
        ("value", "expected"),
        [("12", 12), (12, 12), ("0", None), ("", None), ("x", None), (None, None), (True, None), ("9" * 5000, None)],
    )
    def test_reads_decimal_strings_and_nothing_else(self, value, expected):
        assert as_nanoseconds(value) == expected
