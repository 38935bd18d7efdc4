// The same propagators, timed: a line with work in, a line with microseconds of CPU and of time for each call out.
//
//   {"encode": {"key": "value"}, "calls": 100}         baggage alone
//   {"decode": ["header"], "calls": 100}
//   {"inject": {"key": "value"}, "traceparent": "00-…", "calls": 100}      with the trace's header
//   {"extract": {"traceparent": "00-…", "baggage": "key=value"}, "calls": 100}
//   → {"cpu": 1.5, "wall": 1.5}
import { createInterface } from "node:readline";
import { composite, extract, inject, withMembers } from "./propagator.mjs";

function call(asked) {
  if (asked.encode) {
    const context = withMembers(asked.encode);
    return () => inject(context);
  }
  if (asked.inject) {
    const context = withMembers(asked.inject, extract({ traceparent: asked.traceparent }, composite));
    return () => inject(context, composite);
  }
  if (asked.extract) return () => extract(asked.extract, composite);
  const carrier = { baggage: asked.decode };
  return () => extract(carrier);
}

for await (const line of createInterface({ input: process.stdin })) {
  const asked = JSON.parse(line);
  const work = call(asked);
  const began = process.hrtime.bigint();
  const before = process.cpuUsage();
  for (let made = 0; made < asked.calls; made += 1) work();
  const { user, system } = process.cpuUsage(before);
  const wall = Number(process.hrtime.bigint() - began) / 1000;
  process.stdout.write(`${JSON.stringify({ cpu: (user + system) / asked.calls, wall: wall / asked.calls })}\n`);
}
