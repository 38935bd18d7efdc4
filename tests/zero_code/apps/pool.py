"""A script that hands work of two requests to one worker process; the worker's logs and spans are its own to send."""

import logging
import multiprocessing
import sys
from concurrent.futures import ProcessPoolExecutor

from opentelemetry import trace

import otelctx

logging.basicConfig(level=logging.INFO)
log = logging.getLogger("app")


def work(number: int) -> tuple[object, object, int]:
    with trace.get_tracer("app").start_as_current_span(f"work {number}"):
        log.info("working on %d", number)
    seen = otelctx.get("user_id"), otelctx.get("step")
    otelctx.set(user_id="of the worker")
    return *seen, multiprocessing.current_process().pid


if __name__ == "__main__":
    tracer = trace.get_tracer("app")
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context(sys.argv[1])) as pool:
        for number, user in enumerate(["alice", "bob"]):
            request = otelctx.request(request_id=f"{sys.argv[2]}-{user}", user_id=user, step=f"step {number}")
            with request, tracer.start_as_current_span(f"submit {number}"):
                print(*pool.submit(work, number).result(), otelctx.get("user_id"))
        print(*pool.submit(work, 2).result(), otelctx.get("user_id"))
