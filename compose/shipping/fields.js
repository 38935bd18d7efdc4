// What travels with a request, and under which names: baggage keys on the wire, attributes on spans and log records.
// otelctx has the same two built in; nothing else is agreed between the languages but W3C's headers.
"use strict";

const { propagation } = require("@opentelemetry/api");

const ATTRIBUTES = { request_id: "request_id", user_id: "user.id" };

/** Returns the attributes for what the baggage of *context* has of the fields. */
function attributesOf(context) {
  const baggage = propagation.getBaggage(context);
  return Object.fromEntries(
    Object.entries(ATTRIBUTES).flatMap(([key, attribute]) => {
      const entry = baggage?.getEntry(key);
      return entry === undefined ? [] : [[attribute, entry.value]];
    }),
  );
}

module.exports = { attributesOf };
