"""A gRPC server that knows nothing of otelctx: on a port, and on a Unix socket beside."""

import logging
import signal
import sys
from concurrent.futures import ThreadPoolExecutor

import grpc

logging.basicConfig(level=logging.INFO)
log = logging.getLogger("app")


class Handler(grpc.GenericRpcHandler):
    def service(self, details):
        return grpc.unary_unary_rpc_method_handler(self.answer)

    def answer(self, _, context):
        log.info("handling")
        return b"ok"


server = grpc.server(ThreadPoolExecutor(2))
server.add_generic_rpc_handlers((Handler(),))
for address in sys.argv[1:]:
    server.add_insecure_port(address)
server.start()
signal.signal(signal.SIGTERM, lambda *_: server.stop(1))
server.wait_for_termination()
