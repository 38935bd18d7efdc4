from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from otelctx.story.assembly import assemble
from otelctx.story.records import EventRecord, LogRecord, MissingSpan, SpanRecord
from otelctx.story.tree import Tree, build_tree

IDS = st.sampled_from(["a", "b", "c", "d", "e", "f", ""])
TIMES = st.none() | st.integers(1, 50)


def span(span_id: str, parent_id: str | None = None, start: int | None = 1, service: str = "s", **more) -> SpanRecord:
    defaults = {
        "trace_id": "t",
        "name": "work",
        "kind": "internal",
        "end": None,
        "error": False,
        "status_message": "",
        "request_id": None,
        "attributes": {},
        "resource": {},
        "events": (),
        "links": (),
    }
    return SpanRecord(span_id=span_id, parent_id=parent_id, start=start, service=service, **defaults | more)


def log(span_id: str | None, time: int | None = 1) -> LogRecord:
    return LogRecord(time, "INFO", False, "text", "s", "logger", "t", span_id, None, {})


def shape(tree: Tree) -> list:
    """Return the tree as nested lists of span ids (and `log`, `event`)."""

    def one(entry):
        record = entry.record
        name = (
            getattr(record, "span_id", "?") if isinstance(record, SpanRecord | MissingSpan) else type(record).__name__
        )
        return [name, *(one(child) for child in entry.children)] if entry.children else name

    return [one(root) for root in tree.roots]


class TestBuildTree:
    def test_children_and_logs_stand_below_their_span_in_time_order(self):
        tree = build_tree([span("c", "a", 5), span("a"), span("b", "a", 3)], [log("a", 4), log("c", 6)])
        assert shape(tree) == [["a", "b", "LogRecord", ["c", "LogRecord"]]]

    def test_a_log_without_a_span_stands_at_the_root_in_its_place(self):
        tree = build_tree([span("a", start=1), span("b", start=9)], [log(None, 5)])
        assert shape(tree) == ["a", "LogRecord", "b"]

    def test_a_parent_that_never_arrived_has_a_placeholder_above_all_its_children(self):
        tree = build_tree([span("b", "lost", 2), span("c", "lost", 3)], [log("lost", 4)])
        assert shape(tree) == [["lost", "b", "c", "LogRecord"]]

    def test_a_child_that_starts_before_its_parent_moves_to_its_parents_start(self):
        tree = build_tree([span("a", start=10), span("b", "a", start=4, service="other")], [])
        assert [(entry.record.span_id, entry.time) for entry in tree.walk()] == [("a", 10), ("b", 10)]

    def test_a_ring_of_parents_is_cut_at_its_earliest_span(self):
        tree = build_tree([span("a", "c", 3), span("b", "a", 2), span("c", "b", 4), span("d", "a", 9)], [])
        assert shape(tree) == [["b", ["c", ["a", "d"]]]]
        assert [{member.span_id for member in ring} for ring in tree.cycles] == [{"a", "b", "c"}]

    def test_a_span_that_is_its_own_parent_is_a_root(self):
        assert shape(build_tree([span("a", "a")], [])) == ["a"]

    def test_a_span_delivered_twice_counts_once(self):
        assert shape(build_tree([span("a"), span("a")], [])) == ["a"]

    def test_different_spans_with_one_id_are_both_shown_and_the_earlier_has_the_children(self):
        tree = build_tree([span("a", start=5, name="late"), span("a", start=1, name="early"), span("b", "a", 6)], [])
        assert [(entry.record.name, len(entry.children)) for entry in tree.roots] == [("early", 1), ("late", 0)]
        assert [duplicate.name for duplicate in tree.duplicates] == ["late"]

    def test_a_span_without_times_takes_its_parents(self):
        tree = build_tree([span("a", start=7), span("b", "a", start=None)], [log("b", None)])
        assert [entry.time for entry in tree.walk()] == [7, 7, 7]

    def test_a_chain_of_thousands_is_no_problem(self):
        spans = [span(str(number), str(number - 1) if number else None, number + 1) for number in range(20_000)]
        assert sum(1 for _ in build_tree(spans, []).walk()) == 20_000

    @settings(max_examples=300, deadline=None)
    @given(
        st.lists(st.tuples(IDS, st.none() | IDS, TIMES, st.sampled_from("xyz")), max_size=12),
        st.lists(st.tuples(st.none() | IDS, TIMES), max_size=8),
    )
    def test_every_record_is_in_the_tree_exactly_once_and_none_before_its_parent(self, spans, logs):
        spans = [
            span(span_id, parent, start, service, name=f"{number}", events=(EventRecord("e", start, {}),))
            for number, (span_id, parent, start, service) in enumerate(spans)
        ]
        logs = [log(span_id, time) for span_id, time in logs]
        tree = build_tree(spans, logs)
        entries = list(tree.walk())
        found = Counter(type(entry.record).__name__ for entry in entries)
        assert sorted(entry.record.name for entry in entries if isinstance(entry.record, SpanRecord)) == sorted(
            one.name for one in spans
        )
        assert (found["LogRecord"], found["EventRecord"]) == (len(logs), len(spans))
        for entry in entries:
            assert all(child.parent is entry and child.time >= entry.time for child in entry.children)
            assert [child.time for child in entry.children] == sorted(child.time for child in entry.children)


class TestAssemble:
    def test_it_counts_and_orders_services_by_their_first_record(self, make):
        story = assemble(make.checkout())
        assert (story.spans, story.logs, story.errors) == (12, 15, 5)
        assert story.services == ("gateway", "orders", "inventory")
        assert story.first_span is not None
        assert story.first_span.name == "POST /checkout"
        assert story.end - story.start == 412_000_000

    def test_its_start_is_that_of_the_first_span_although_another_clock_is_behind(self, make):
        spans = [
            make.span("a1", None, "gateway", "GET /", 0, 9, "server"),
            make.span("b1", "a1", "orders", "GET /", -50, 5, "server"),
        ]
        assert assemble(make.story(spans, [])).start == make.start

    def test_an_empty_story_has_nothing(self, make):
        story = assemble(make.story([], []))
        assert (story.spans, story.start, story.end, story.first_span) == (0, 0, 0, None)
