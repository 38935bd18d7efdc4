// OpenTelemetry JS, set up before the application is loaded: node --require ./telemetry.js app.js.
// Where it sends to and what the service is called comes from OTEL_EXPORTER_OTLP_ENDPOINT and OTEL_SERVICE_NAME.
"use strict";

const { logs } = require("@opentelemetry/api-logs");
const { OTLPLogExporter } = require("@opentelemetry/exporter-logs-otlp-proto");
const { OTLPTraceExporter } = require("@opentelemetry/exporter-trace-otlp-proto");
const { registerInstrumentations } = require("@opentelemetry/instrumentation");
const { HttpInstrumentation } = require("@opentelemetry/instrumentation-http");
const { UndiciInstrumentation } = require("@opentelemetry/instrumentation-undici");
const { defaultResource, detectResources, envDetector, processDetector } = require("@opentelemetry/resources");
const { BatchLogRecordProcessor, LoggerProvider } = require("@opentelemetry/sdk-logs");
const { BatchSpanProcessor, NodeTracerProvider } = require("@opentelemetry/sdk-trace-node");
const { attributesOf } = require("./fields");

// Puts the fields on each span when it starts. OTLP carries no baggage: what is not copied here is not seen behind.
class FieldsOnSpans {
  onStart(span, context) {
    span.setAttributes(attributesOf(context));
  }
  onEnd() {}
  forceFlush() {
    return Promise.resolve();
  }
  shutdown() {
    return Promise.resolve();
  }
}

const resource = defaultResource().merge(detectResources({ detectors: [envDetector, processDetector] }));

const tracerProvider = new NodeTracerProvider({
  resource,
  spanProcessors: [new FieldsOnSpans(), new BatchSpanProcessor(new OTLPTraceExporter())],
});
tracerProvider.register(); // W3C trace context and baggage, and a context that follows every await

const loggerProvider = new LoggerProvider({ resource, processors: [new BatchLogRecordProcessor({ exporter: new OTLPLogExporter() })] });
logs.setGlobalLoggerProvider(loggerProvider);

registerInstrumentations({
  instrumentations: [
    new HttpInstrumentation({ ignoreIncomingRequestHook: (request) => request.url === "/healthz" }),
    new UndiciInstrumentation(), // fetch
  ],
});

/** Sends what is waiting; for the end of the process. */
async function shutdown() {
  await Promise.allSettled([tracerProvider.shutdown(), loggerProvider.shutdown()]);
}

module.exports = { shutdown };
