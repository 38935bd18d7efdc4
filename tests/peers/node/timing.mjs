// The same propagator, timed: a line with the cases in, a line with microseconds of its own CPU time for each out.
//
//   {"case": {"encode": {"key": "value"}, "calls": 100}, "other": {"decode": ["header"], "calls": 100}}
//   → {"case": 1.5, "other": 2.5}
import { createInterface } from "node:readline";
import { extract, inject, withMembers } from "./propagator.mjs";

function timed({ encode, decode, calls }) {
  const context = encode && withMembers(encode);
  const carrier = { baggage: decode };
  const began = process.cpuUsage();
  for (let call = 0; call < calls; call += 1) {
    if (context) inject(context);
    else extract(carrier);
  }
  const { user, system } = process.cpuUsage(began);
  return (user + system) / calls;
}

for await (const line of createInterface({ input: process.stdin })) {
  const cases = Object.entries(JSON.parse(line));
  process.stdout.write(`${JSON.stringify(Object.fromEntries(cases.map(([name, asked]) => [name, timed(asked)])))}\n`);
}
