"""An application that uses otelctx for `set` and `bind`, and has what real ones have: streams, sockets, a log queue."""

import asyncio
import logging
from logging.handlers import QueueHandler, QueueListener
from queue import SimpleQueue
from typing import Annotated

import httpx
from fastapi import BackgroundTasks, Depends, FastAPI, Header, Request, WebSocket, WebSocketDisconnect
from fastapi.responses import StreamingResponse
from opentelemetry import trace

import otelctx

logging.basicConfig(level=logging.INFO)
log = logging.getLogger("app")

alone = logging.getLogger("alone")
alone.propagate = False
alone.addHandler(logging.StreamHandler())

queue: SimpleQueue[logging.LogRecord] = SimpleQueue()
queued = logging.getLogger("queued")
queued.propagate = False
queued.addHandler(QueueHandler(queue))
written = logging.StreamHandler()
written.setFormatter(logging.Formatter("from the queue: %(message)s of %(request_id)s by %(user_id)s"))
listener = QueueListener(queue, written)
listener.start()

app = FastAPI()


def user(authorization: Annotated[str, Header()] = "nobody") -> str:
    """Runs in the thread pool, as FastAPI does with every dependency that is not async."""
    otelctx.set(user_id=authorization, plan=f"plan of {authorization}")
    return authorization


@app.get("/orders/{order}")
async def order(order: str, user: Annotated[str, Depends(user)], tasks: BackgroundTasks) -> str:
    with trace.get_tracer("app").start_as_current_span("load order"):
        log.info("loading")
    otelctx.set(step="loaded")
    tasks.add_task(log.info, "in the background")
    return user


@app.get("/logs")
async def logs() -> str:
    otelctx.set(user_id="of the request")
    log.info("explicit", extra={"user_id": "of the record", "size": 3})
    alone.info("on its own")
    queued.info("queued")
    with trace.get_tracer("app").start_as_current_span("explicit", attributes={"user.id": "of the span"}):
        pass
    with otelctx.bind(step="bound"):
        log.info("bound")
    return "ok"


@app.get("/healthz")
async def healthz() -> str:
    log.info("healthy")
    return "ok"


@app.get("/stream")
async def stream(user: Annotated[str, Depends(user)]) -> StreamingResponse:
    async def body():
        for number in range(3):
            log.info("chunk %d", number)
            yield f"{number}\n"
            await asyncio.sleep(0)
        otelctx.set(step="streamed")

    return StreamingResponse(body())


@app.get("/endless")
async def endless(request: Request, user: Annotated[str, Depends(user)]) -> StreamingResponse:
    async def body():
        try:
            while True:
                yield "more\n"
                await asyncio.sleep(0.01)
        finally:
            log.info("the client has gone")

    return StreamingResponse(body())


@app.get("/partial")
async def partial() -> StreamingResponse:
    async def body():
        yield "begun\n"
        raise RuntimeError("too late for a 500")

    return StreamingResponse(body())


@app.get("/call")
async def call(url: str, user: Annotated[str, Depends(user)]) -> dict[str, str]:
    async with httpx.AsyncClient() as client:
        return (await client.get(url)).json()


gate = asyncio.Event()
waiting: list[str] = []


@app.get("/together/{size}")
async def together(size: int, user: Annotated[str, Depends(user)]) -> str:
    """Answers when *size* requests have come to this place, so that they are open at the same time."""
    waiting.append(user)
    if len(waiting) == size:
        gate.set()
    await gate.wait()
    log.info("seen %s", otelctx.get("user_id"))
    return str(otelctx.get("user_id"))


@app.websocket("/socket")
async def socket(websocket: WebSocket) -> None:
    await websocket.accept()
    try:
        while True:
            otelctx.set(user_id=await websocket.receive_text())
            log.info("message")
            await websocket.send_text(str(otelctx.get("request_id")))
    except WebSocketDisconnect:
        log.info("closed")
