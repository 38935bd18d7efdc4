// A peer in JavaScript: OpenTelemetry's own baggage propagator, one JSON object a line in, one out.
//
//   {"decode": ["header", …]}       → {"members": {"key": "value"}}
//   {"encode": {"key": "value"}}    → {"header": "…"}
import { createInterface } from "node:readline";
import { decode, encode } from "./propagator.mjs";

for await (const line of createInterface({ input: process.stdin })) {
  const asked = JSON.parse(line);
  const answer = asked.encode ? { header: encode(asked.encode) } : { members: decode(asked.decode) };
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
