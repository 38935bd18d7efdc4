"""
The command ``otelctx collector``: options in, one running collector, exit status out.

It stops on SIGTERM and SIGINT within the bound of the configuration; a start that fails is one message and status 1.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from otelctx.collector.config import MEBIBYTE, MEMORY, CollectorConfig, default_store
from otelctx.collector.ready import readiness, ready_file
from otelctx.collector.untraced import leave_instrumentation
from otelctx.errors import CollectorError

if TYPE_CHECKING:
    from otelctx.collector.server import Collector

Host = Annotated[str, typer.Option(help="Address to listen on. Anything but loopback opens it to the network.")]
HttpPort = Annotated[int, typer.Option(help="OTLP/HTTP, query interface and page; 0 takes a free port.")]
GrpcPort = Annotated[int, typer.Option(help="OTLP/gRPC; 0 takes a free port.")]
StorePath = Annotated[
    str,
    typer.Option(
        help="SQLite file, or :memory: to keep nothing.", show_default="~/.local/state/otelctx/collector.sqlite3"
    ),
]
MaxStore = Annotated[int, typer.Option(help="Size of the store in MiB; the oldest records go first.", min=4)]
MaxAge = Annotated[float, typer.Option(help="Days after which a record goes.")]
MaxBody = Annotated[int, typer.Option(help="Largest request in MiB, compressed and decompressed.", min=1)]
Forward = Annotated[str, typer.Option(help="OTLP/HTTP base address that gets a copy of everything, http://host:4318.")]
ForwardHeader = Annotated[list[str] | None, typer.Option(help="Header for that endpoint, KEY=VALUE; may be repeated.")]
ReadyFile = Annotated[Path | None, typer.Option(help="Write ports and pid here as JSON once both listeners accept.")]
Json = Annotated[bool, typer.Option("--json", help="Print the ready line as JSON.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Log each HTTP request.")]


def collector(
    *,
    host: Host = "127.0.0.1",
    http_port: HttpPort = 4318,
    grpc_port: GrpcPort = 4317,
    store: StorePath = "",
    max_store: MaxStore = 512,
    max_age: MaxAge = 7,
    max_body: MaxBody = 16,
    forward: Forward = "",
    forward_header: ForwardHeader = None,
    ready_file: ReadyFile = None,
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """
    Receive, keep and show traces, logs and metrics on this machine.

    Point any OpenTelemetry exporter at http://127.0.0.1:4318 (OTLP/HTTP) or 127.0.0.1:4317 (OTLP/gRPC); these are the
    exporters' defaults, so most need nothing. Then open http://127.0.0.1:4318/ in a browser, or run
    `otelctx story --last`.

    This is a development tool: one process, one file, no authentication. Beyond one machine the OpenTelemetry
    Collector takes its place; with --forward it gets a copy of everything from here.
    """
    leave_instrumentation()
    level = logging.INFO if verbose else logging.WARNING
    logging.basicConfig(level=level, format="%(levelname)s %(name)s: %(message)s")
    # What uvicorn warns about is anybody's malformed request, once for each; our own warnings are rationed.
    logging.getLogger("uvicorn.error").setLevel(logging.INFO if verbose else logging.ERROR)
    try:
        config = CollectorConfig(
            host=host,
            http_port=http_port,
            grpc_port=grpc_port,
            store=chosen_store(store),
            max_store_bytes=max_store * MEBIBYTE,
            max_age_seconds=max_age * 86_400,
            max_body_bytes=max_body * MEBIBYTE,
            max_inflight_bytes=max(64, 2 * max_body) * MEBIBYTE,
            forward_url=forward or None,
            forward_headers=dict(map(parse_header, forward_header or [])),
            access_log=verbose,
        )
        asyncio.run(serve(config, ready_file, as_json=as_json))
    except CollectorError as error:
        typer.secho(f"otelctx collector: {error}", fg="red", err=True)
        raise typer.Exit(1) from error


async def serve(config: CollectorConfig, path: Path | None, *, as_json: bool) -> None:
    """
    Run a collector until the process is asked to stop.

    Raises:
        CollectorError: when it cannot start.
    """
    # The servers are loaded only here, so that the help of the command is quick.
    from otelctx.collector.server import Collector  # noqa: PLC0415

    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    with ExitStack() as undo:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stopping.set)
            undo.callback(loop.remove_signal_handler, number)
        async with Collector(config) as running:
            with ready_file(path, running):
                typer.echo(json.dumps(readiness(running)) if as_json else ready_line(config, running))
                await stopping.wait()


def ready_line(config: CollectorConfig, running: Collector) -> str:
    """Say where the running collector is."""
    host = f"[{config.host}]" if ":" in config.host else config.host
    page = f"http://{host}:{running.http_port}"
    place = "nothing is kept" if str(config.store) == MEMORY else f"store {config.store}"
    return f"Collector ready: OTLP/HTTP and page {page}/, OTLP/gRPC {host}:{running.grpc_port}, {place}"


def chosen_store(option: str) -> Path | str:
    """Read the option ``--store``; empty means the default."""
    if option == MEMORY:
        return MEMORY
    return Path(option) if option else default_store(os.environ)


def parse_header(option: str) -> tuple[str, str]:
    """
    Read one ``--forward-header``.

    Raises:
        CollectorError: unless it is KEY=VALUE; the value may be a secret and is not quoted.

    >>> parse_header("x-api-key=abc=")
    ('x-api-key', 'abc=')
    """
    key, separator, value = option.partition("=")
    if not separator or not key.strip():
        msg = "A --forward-header has no KEY=VALUE form; write for example --forward-header x-api-key=secret"
        raise CollectorError(msg)
    return key.strip(), value
