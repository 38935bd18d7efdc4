"""The recipe of the logging cookbook: the root logger has a queue only, and another thread has the handlers."""

import logging
import logging.handlers
from queue import SimpleQueue

from opentelemetry import trace

import otelctx

logging.basicConfig(level=logging.INFO)
root = logging.getLogger()
queue: SimpleQueue[logging.LogRecord] = SimpleQueue()
listener = logging.handlers.QueueListener(queue, *root.handlers)
root.handlers = [logging.handlers.QueueHandler(queue)]
listener.start()

with otelctx.request(user_id="alice"), trace.get_tracer("app").start_as_current_span("writes"):
    root.info("from the request")
with otelctx.request(user_id="bob"):
    root.info("with no span")
root.info("with no request")
listener.stop()
