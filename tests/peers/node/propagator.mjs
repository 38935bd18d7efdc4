// OpenTelemetry's own baggage propagator, as two functions.
import { ROOT_CONTEXT, defaultTextMapGetter, defaultTextMapSetter, propagation } from "@opentelemetry/api";
import { W3CBaggagePropagator } from "@opentelemetry/core";

const propagator = new W3CBaggagePropagator();

export function extract(carrier) {
  return propagator.extract(ROOT_CONTEXT, carrier, defaultTextMapGetter);
}

export function withMembers(members) {
  const entries = Object.fromEntries(Object.entries(members).map(([key, value]) => [key, { value }]));
  return propagation.setBaggage(ROOT_CONTEXT, propagation.createBaggage(entries));
}

export function inject(context) {
  const carrier = {};
  propagator.inject(context, carrier, defaultTextMapSetter);
  return carrier;
}

export function decode(headers) {
  const entries = propagation.getBaggage(extract({ baggage: headers }))?.getAllEntries() ?? [];
  return Object.fromEntries(entries.map(([key, entry]) => [key, entry.value]));
}

export function encode(members) {
  return inject(withMembers(members)).baggage ?? "";
}
