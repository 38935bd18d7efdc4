"""
`otelctx.reports`: what was reported, as a metric.
"""

from __future__ import annotations

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, Sum

from otelctx import extract, request
from otelctx.signals.report_counter import count_reports


def reported(reader: InMemoryMetricReader) -> dict[str, int | float]:
    data = reader.get_metrics_data()
    if data is None:
        return {}
    scopes = [scope for resource in data.resource_metrics for scope in resource.scope_metrics]
    # Some SDKs have metrics of their own beside.
    found = [metric for scope in scopes for metric in scope.metrics if metric.name == "otelctx.reports"]
    if not found:
        return {}
    (metric,) = found
    assert isinstance(metric.data, Sum)
    assert metric.data.is_monotonic
    return {str((point.attributes or {})["otelctx.report.kind"]): point.value for point in metric.data.data_points}


class TestReportCounter:
    """Errors of the wire are counted by kind, without what came from outside."""

    def test_each_kind_is_a_series(self) -> None:
        reader = InMemoryMetricReader()
        count_reports(MeterProvider([reader], shutdown_on_exit=False))
        assert reported(reader) == {}
        extract({"baggage": "a b,c d,k=v;,user_id=u"}, peer="unix")
        with request(peer="unix", carrier={"baggage": "user_id=" + "u" * 300}):
            pass
        assert reported(reader) == {"baggage.bad_member": 2, "baggage.bad_property": 1, "field.refused": 1}
        extract({"baggage": "e f"})
        assert reported(reader)["baggage.bad_member"] == 3
