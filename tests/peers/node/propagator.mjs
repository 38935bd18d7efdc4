// OpenTelemetry's own propagators, of baggage and of both W3C headers, as functions.
import { ROOT_CONTEXT, defaultTextMapGetter, defaultTextMapSetter, propagation } from "@opentelemetry/api";
import { CompositePropagator, W3CBaggagePropagator, W3CTraceContextPropagator } from "@opentelemetry/core";

const propagator = new W3CBaggagePropagator();

export const composite = new CompositePropagator({ propagators: [new W3CTraceContextPropagator(), propagator] });

export function extract(carrier, by = propagator) {
  return by.extract(ROOT_CONTEXT, carrier, defaultTextMapGetter);
}

export function withMembers(members, context = ROOT_CONTEXT) {
  const entries = Object.fromEntries(Object.entries(members).map(([key, value]) => [key, { value }]));
  return propagation.setBaggage(context, propagation.createBaggage(entries));
}

export function inject(context, by = propagator) {
  const carrier = {};
  by.inject(context, carrier, defaultTextMapSetter);
  return carrier;
}

export function decode(headers) {
  const entries = propagation.getBaggage(extract({ baggage: headers }))?.getAllEntries() ?? [];
  return Object.fromEntries(entries.map(([key, entry]) => [key, entry.value]));
}

export function encode(members) {
  return inject(withMembers(members)).baggage ?? "";
}
