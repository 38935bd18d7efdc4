from __future__ import annotations

from otelctx.story.assembly import assemble


def origins(story) -> list[tuple]:
    return [
        (origin.field, origin.value, origin.how, origin.service, origin.span_name) for origin in assemble(story).origins
    ]


class TestOrigins:
    def test_a_realistic_request_tells_generated_set_and_bound(self, make):
        assert origins(make.checkout()) == [
            ("request_id", make.request_id, "generated", "gateway", "POST /checkout"),
            ("user.id", "alice", "set", "gateway", "POST /checkout"),
            ("step", "charge", "bound", "orders", "charge"),
        ]

    def test_a_request_id_that_came_with_the_request_is_received(self, make):
        spans = [make.span("a", None, "gateway", "GET /", 0, 9, attributes={"otelctx.request_id.origin": "received"})]
        assert origins(make.story(spans, []))[0] == ("request_id", make.request_id, "received", "gateway", "GET /")

    def test_the_origin_is_where_the_request_began_although_a_clock_is_behind(self, make):
        spans = [
            make.span("a", None, "gateway", "GET /", 0, 9, attributes={"otelctx.request_id.origin": "generated"}),
            make.span("b", "a", "orders", "GET /", -9, 5, attributes={"otelctx.request_id.origin": "received"}),
        ]
        assert origins(make.story(spans, []))[0][2:4] == ("generated", "gateway")

    def test_every_set_to_another_value_is_a_change(self, make):
        events = [
            make.event("otelctx.set", 1, plan="free"),
            make.event("otelctx.set", 2, plan="free"),
            make.event("otelctx.set", 3, plan="pro"),
            make.event("otelctx.set", 4, plan="free"),
        ]
        spans = [make.span("a", None, "gateway", "GET /", 0, 9, events=events, attributes={"plan": "free"})]
        found = [(value, how) for name, value, how, *_ in origins(make.story(spans, [])) if name == "plan"]
        assert found == [("free", "set"), ("pro", "changed"), ("free", "changed")]

    def test_a_set_of_another_value_than_the_one_that_came_in_is_a_change(self, make):
        events = [make.event("otelctx.set", 3, tenant="blue")]
        spans = [
            make.span("a", None, "gateway", "GET /", 0, 9, attributes={"tenant": "red", "otelctx.fields": ["tenant"]}),
            make.span("b", "a", "orders", "GET /", 2, 9, events=events, attributes={"tenant": "blue"}),
        ]
        found = [
            (value, how, service) for name, value, how, service, _ in origins(make.story(spans, [])) if name == "tenant"
        ]
        assert found == [("red", "seen", "gateway"), ("blue", "changed", "orders")]

    def test_a_set_downstream_does_not_explain_what_upstream_already_had(self, make):
        events = [make.event("otelctx.set", 5, plan="pro")]
        spans = [
            make.span("a", None, "gateway", "GET /", 0, 9, attributes={"plan": "pro", "otelctx.fields": ["plan"]}),
            make.span("b", "a", "orders", "GET /", 2, 9, events=events, attributes={"plan": "pro"}),
        ]
        found = [(how, service) for name, _, how, service, _ in origins(make.story(spans, [])) if name == "plan"]
        assert found == [("seen", "gateway"), ("changed", "orders")]

    def test_a_value_on_a_log_only_is_bound_in_its_service(self, make):
        spans = [make.span("a", None, "jobs", "run", 0, 9, attributes={"otelctx.fields": ["step", 7]})]
        logs = [make.log("a", "jobs", "jobs", 3, "INFO", "hi", attributes={"step": "load"})]
        assert origins(make.story(spans, logs))[-1] == ("step", "load", "bound", "jobs", "run")

    def test_values_that_cannot_be_hashed_are_compared_all_the_same(self, make):
        spans = [make.span("a", None, "s", "x", 0, 9, attributes={"tags": ["a"], "otelctx.fields": ["tags"]})]
        spans.append(make.span("b", "a", "s", "y", 1, 8, attributes={"tags": ["a"]}))
        assert [origin for origin in origins(make.story(spans, [])) if origin[0] == "tags"] == [
            ("tags", ["a"], "seen", "s", "x")
        ]
