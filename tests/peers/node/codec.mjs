// A peer in JavaScript: OpenTelemetry's own baggage propagator, one JSON object a line in, one out.
//
//   {"decode": ["header", …]}       → {"members": {"key": "value"}}
//   {"encode": {"key": "value"}}    → {"header": "…"}
import { createInterface } from "node:readline";
import { ROOT_CONTEXT, defaultTextMapGetter, defaultTextMapSetter, propagation } from "@opentelemetry/api";
import { W3CBaggagePropagator } from "@opentelemetry/core";

const propagator = new W3CBaggagePropagator();

export function decode(headers) {
  const context = propagator.extract(ROOT_CONTEXT, { baggage: headers }, defaultTextMapGetter);
  const entries = propagation.getBaggage(context)?.getAllEntries() ?? [];
  return Object.fromEntries(entries.map(([key, entry]) => [key, entry.value]));
}

export function encode(members) {
  const entries = Object.fromEntries(Object.entries(members).map(([key, value]) => [key, { value }]));
  const context = propagation.setBaggage(ROOT_CONTEXT, propagation.createBaggage(entries));
  const carrier = {};
  propagator.inject(context, carrier, defaultTextMapSetter);
  return carrier.baggage ?? "";
}

for await (const line of createInterface({ input: process.stdin })) {
  const asked = JSON.parse(line);
  const answer = asked.encode ? { header: encode(asked.encode) } : { members: decode(asked.decode) };
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
