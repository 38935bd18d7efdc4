"""Where telemetry goes, as the standard variables say."""

from __future__ import annotations

import logging

import pytest

from otelctx.export.endpoint import Endpoint, endpoint_of

BASE = "OTEL_EXPORTER_OTLP_"


class TestUrl:
    @pytest.mark.parametrize(
        ("variables", "url"),
        [
            ({}, "http://localhost:4318/v1/logs"),
            ({"ENDPOINT": "http://c:4318"}, "http://c:4318/v1/logs"),
            ({"ENDPOINT": "http://c/prefix/"}, "http://c/prefix/v1/logs"),
            ({"LOGS_ENDPOINT": "http://c/anything", "ENDPOINT": "http://d"}, "http://c/anything"),
            ({"PROTOCOL": "grpc"}, "http://localhost:4317"),
            ({"PROTOCOL": "grpc", "ENDPOINT": "https://c:4317/ignored"}, "https://c:4317"),
            ({"PROTOCOL": "grpc", "ENDPOINT": "c:4317"}, "https://c:4317"),
            ({"PROTOCOL": "grpc", "ENDPOINT": "c:4317", "INSECURE": "true"}, "http://c:4317"),
            ({"LOGS_PROTOCOL": "grpc", "PROTOCOL": "http/protobuf"}, "http://localhost:4317"),
        ],
    )
    def test_is_that_of_the_signal_before_that_of_all(self, variables: dict[str, str], url: str) -> None:
        assert endpoint_of("logs", {BASE + name: value for name, value in variables.items()}).url == url


class TestHow:
    def test_each_setting_is_that_of_the_signal_before_that_of_all(self) -> None:
        environ = {
            BASE + "HEADERS": "Api-Key=all,x=a%20b",
            BASE + "TRACES_HEADERS": "api-key=s3cret",
            BASE + "TIMEOUT": "7",
            BASE + "TRACES_TIMEOUT": "2.5",
            BASE + "COMPRESSION": "gzip",
            BASE + "CERTIFICATE": "ca.pem",
            BASE + "CLIENT_KEY": "key.pem",
            BASE + "CLIENT_CERTIFICATE": "client.pem",
        }
        traces, logs = endpoint_of("traces", environ), endpoint_of("logs", environ)
        assert (dict(traces.headers), traces.timeout) == ({"api-key": "s3cret"}, 2.5)
        assert (dict(logs.headers), logs.timeout, logs.compression) == ({"api-key": "all", "x": "a b"}, 7.0, "gzip")
        assert (logs.certificate, logs.client_key, logs.client_certificate) == ("ca.pem", "key.pem", "client.pem")

    @pytest.mark.parametrize(
        ("name", "value"), [("PROTOCOL", "http/json"), ("COMPRESSION", "zstd"), ("TIMEOUT", "soon"), ("TIMEOUT", "-1")]
    )
    def test_what_is_wrong_is_said_without_its_value_and_the_default_holds(
        self, caplog: pytest.LogCaptureFixture, name: str, value: str
    ) -> None:
        with caplog.at_level(logging.WARNING):
            assert endpoint_of("traces", {BASE + name: value}) == endpoint_of("traces", {})
        (said,) = caplog.messages
        assert f"{BASE}{name} is ignored" in said
        assert value not in said


class TestSecrets:
    def test_neither_headers_nor_a_password_are_shown(self) -> None:
        endpoint = Endpoint("https://me:s3cret@c.example:4318/v1/traces", headers={"api-key": "s3cret"})
        assert endpoint.shown == "https://c.example:4318"
        assert "api-key" not in repr(endpoint)

    def test_the_name_of_the_receiver_depends_on_its_address_alone(self) -> None:
        keys = {
            Endpoint("http://c/v1/traces").key,
            Endpoint("http://c/v1/traces", headers={"api-key": "x"}, timeout=1).key,
            Endpoint("http://me:s3cret@c/v1/traces").key,
        }
        assert len(keys) == 1
        assert Endpoint("http://d/v1/traces").key not in keys
        assert Endpoint("http://c/other/v1/traces").key not in keys
