// A server in JavaScript: OpenTelemetry's own propagators, and Node's AsyncLocalStorage to carry what they read.
//
// GET /relay answers with what came, and calls the URL in `to`, if there is one, with the same context.
// `members`, a JSON object, takes the place of what came: then the request begins here.
import { AsyncLocalStorage } from "node:async_hooks";
import { createServer } from "node:http";
import { ROOT_CONTEXT, defaultTextMapGetter, defaultTextMapSetter, propagation, trace } from "@opentelemetry/api";
import { CompositePropagator, W3CBaggagePropagator, W3CTraceContextPropagator } from "@opentelemetry/core";

const propagator = new CompositePropagator({
  propagators: [new W3CTraceContextPropagator(), new W3CBaggagePropagator()],
});
const requests = new AsyncLocalStorage();

async function call(url) {
  await null; // the store has to be there on the other side of an await
  const headers = {};
  propagator.inject(requests.getStore(), headers, defaultTextMapSetter);
  return (await fetch(url, { headers })).json();
}

async function relay(query) {
  const context = requests.getStore();
  const entries = propagation.getBaggage(context)?.getAllEntries() ?? [];
  const answer = {
    saw: Object.fromEntries(entries.map(([key, entry]) => [key, entry.value])),
    trace: trace.getSpanContext(context)?.traceId ?? "0".repeat(32),
  };
  const to = query.get("to");
  return to ? { ...answer, answer: await call(to) } : answer;
}

const server = createServer((request, response) => {
  const query = new URL(request.url, "http://127.0.0.1").searchParams;
  let context = propagator.extract(ROOT_CONTEXT, request.headers, defaultTextMapGetter);
  if (query.has("members")) {
    const members = Object.entries(JSON.parse(query.get("members"))).map(([key, value]) => [key, { value }]);
    context = propagation.setBaggage(context, propagation.createBaggage(Object.fromEntries(members)));
  }
  requests.run(context, async () => {
    try {
      const body = JSON.stringify(await relay(query));
      response.writeHead(200, { "content-type": "application/json" }).end(body);
    } catch (error) {
      response.writeHead(502).end(String(error));
    }
  });
});
server.listen(0, "127.0.0.1", () => console.log(JSON.stringify({ port: server.address().port })));
