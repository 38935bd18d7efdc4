"""ASGI: the edge middleware, and the server span that it makes with OpenTelemetry's own instrumentation."""

from otelctx.integrations.asgi.middleware import OtelctxMiddleware

__all__ = ["OtelctxMiddleware"]
