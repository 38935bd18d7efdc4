"""An application whose fields are private: it logs, traces and measures with them, and calls itself elsewhere."""

import logging
import sys

import httpx
from fastapi import FastAPI, Request
from opentelemetry import trace

import otelctx
from otelctx.signals.formatters import ConsoleFormatter, JsonFormatter

handlers = [logging.StreamHandler(sys.stdout), logging.StreamHandler(sys.stdout)]
for handler, formatter in zip(handlers, (ConsoleFormatter(), JsonFormatter()), strict=True):
    handler.setFormatter(formatter)
logging.basicConfig(level=logging.INFO, handlers=handlers)
log = logging.getLogger("app")
tracer = trace.get_tracer("app")

app = FastAPI()


@app.get("/work")
async def work() -> str:
    with tracer.start_as_current_span("work"), otelctx.bind(step="working"):
        log.info("working")
    return str(otelctx.get("user_id"))


@app.get("/start")
async def start(url: str, request: Request) -> dict[str, str | None]:
    given = request.headers["authorization"].split()
    otelctx.set(user_id=given[0], tenant=given[1], card=given[2], plan=given[3])
    with otelctx.bind(card=given[2]), tracer.start_as_current_span("start"):
        log.info("starting")
        otelctx.set(user_id=given[0])
    async with httpx.AsyncClient() as client:
        answer = (await client.get(url)).json()
    return {"sent": answer, "kept": str(otelctx.get("user_id"))}


@app.get("/fail")
async def fail(request: Request) -> None:
    otelctx.set(user_id=request.headers["authorization"])
    raise RuntimeError("it failed")
