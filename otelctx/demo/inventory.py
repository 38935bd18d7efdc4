"""
The inventory service of the demo shop, a Flask application: what is in stock, and who took it.

It never imports otelctx; whatever its log lines and spans carry came over the wire.
"""

from __future__ import annotations

import logging
import sys
import threading

from flask import Flask, request
from flask.typing import ResponseReturnValue

logger = logging.getLogger(__name__)

STOCK = {"book": 1_000_000, "pen": 1_000_000, "umbrella": 0}
BROKEN = "broken"


def create_app() -> Flask:
    """Return the application, with its own stock; one process serves it, in several threads."""
    logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    app = Flask(__name__)
    stock = dict(STOCK)
    taking = threading.Lock()

    @app.get("/stock/<sku>")
    def look_up(sku: str) -> ResponseReturnValue:
        """Say how much of *sku* there is."""
        if sku not in stock:
            return {"detail": "no such product"}, 404
        logger.info("%d of %s in stock", stock[sku], sku)
        return {"sku": sku, "available": stock[sku]}

    @app.post("/reservations")
    def reserve() -> ResponseReturnValue:
        """Take something out of the stock."""
        wanted = request.get_json()
        sku, quantity = wanted["sku"], wanted["quantity"]
        if sku == BROKEN:
            message = "the shelf collapsed"
            raise RuntimeError(message)
        with taking:
            available = stock.get(sku)
            if available is not None and available >= quantity:
                stock[sku] = available - quantity
        if available is None:
            return {"detail": "no such product"}, 404
        if available < quantity:
            logger.warning("%d of %s wanted, %d left", quantity, sku, available)
            return {"detail": "out of stock"}, 409
        logger.info("reserved %d of %s", quantity, sku)
        return {"sku": sku, "left": available - quantity}, 201

    @app.get("/healthz")
    def healthz() -> ResponseReturnValue:
        """Say that the service answers."""
        return {"status": "ok"}

    return app
