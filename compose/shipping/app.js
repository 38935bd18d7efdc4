// The shipping service of the demo shop: says when an order leaves, and asks inventory (in Python) whether it can today.
//
// It is called by orders (in Python). The request's store is Node's own AsyncLocalStorage; what fills it came as baggage.
// A request that comes from elsewhere, with no baggage, gets its id here, and the Python services then have that one.
"use strict";

const { AsyncLocalStorage } = require("node:async_hooks");
const { randomUUID } = require("node:crypto");
const http = require("node:http");

const { context, propagation, trace } = require("@opentelemetry/api");
const { logs, SeverityNumber } = require("@opentelemetry/api-logs");
const { attributesOf } = require("./fields");
const { shutdown } = require("./telemetry");

const requests = new AsyncLocalStorage();
const logger = logs.getLogger("shipping");
const inventoryUrl = process.env.INVENTORY_URL ?? "http://127.0.0.1:8002";
const REQUEST_ID = /^[A-Za-z0-9._-]{1,128}$/; // what otelctx accepts too

/** Writes a line to standard output and to OpenTelemetry, with the fields of the request that is being served. */
function log(severityNumber, body) {
  const { requestId, userId } = requests.getStore() ?? {};
  console.log(`${SeverityNumber[severityNumber]} [${requestId ?? "-"} ${userId ?? "-"}] ${body}`);
  const attributes = attributesOf(context.active());
  logger.emit({ severityNumber, severityText: SeverityNumber[severityNumber], body, attributes });
}

/** Runs *work* in the request that came in, or in a new one; its id goes on to the services that are called. */
function inRequest(request, work) {
  let baggage = propagation.getActiveBaggage() ?? propagation.createBaggage();
  if (baggage.getEntry("request_id") === undefined) {
    const asked = request.headers["x-request-id"] ?? "";
    baggage = baggage.setEntry("request_id", { value: REQUEST_ID.test(asked) ? asked : randomUUID() });
  }
  const withBaggage = propagation.setBaggage(context.active(), baggage);
  trace.getSpan(withBaggage)?.setAttributes(attributesOf(withBaggage)); // the server's span is older than the id
  const store = { requestId: baggage.getEntry("request_id").value, userId: baggage.getEntry("user_id")?.value };
  return context.with(withBaggage, () => requests.run(store, work));
}

/** Decides when the order leaves. */
async function ship({ order_id: orderId, sku, quantity }) {
  log(SeverityNumber.INFO, `packing ${quantity} of ${sku} for order ${orderId}`);
  const response = await fetch(`${inventoryUrl}/stock/${encodeURIComponent(sku)}`, { signal: AbortSignal.timeout(10_000) });
  if (!response.ok) throw new Error(`inventory answered ${response.status}`);
  const { available } = await response.json();
  const leaves = available > 0 ? "today" : "later";
  log(SeverityNumber.INFO, `order ${orderId} of ${requests.getStore().userId ?? "nobody"} leaves ${leaves}`);
  return { order_id: orderId, leaves };
}

/** Reads a JSON body of at most 64 KiB. */
async function read(request) {
  const chunks = [];
  let size = 0;
  for await (const chunk of request) {
    size += chunk.length;
    if (size > 65_536) throw new RangeError("the body is too large");
    chunks.push(chunk);
  }
  return JSON.parse(Buffer.concat(chunks).toString("utf8"));
}

async function answer(request, response) {
  let status = 404;
  let body = { detail: "no such route" };
  if (request.url === "/healthz") [status, body] = [200, { status: "ok" }];
  if (request.url === "/shipments" && request.method === "POST") {
    try {
      [status, body] = [201, await ship(await read(request))];
    } catch (error) {
      log(SeverityNumber.ERROR, `cannot ship: ${error.message}`);
      [status, body] = [502, { detail: "cannot ship" }];
    }
  }
  const headers = { "content-type": "application/json", "x-request-id": requests.getStore().requestId };
  response.writeHead(status, headers).end(JSON.stringify(body));
}

const server = http.createServer((request, response) => inRequest(request, () => answer(request, response)));
server.listen(Number(process.env.PORT ?? 8003), process.env.HOST ?? "127.0.0.1", () => {
  console.log(JSON.stringify({ ready: server.address().port }));
});

for (const signal of ["SIGTERM", "SIGINT"]) {
  process.once(signal, () => {
    server.close(async () => {
      await shutdown();
      process.exit(0);
    });
    server.closeIdleConnections();
  });
}
