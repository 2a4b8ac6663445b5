"""`fhir-server serve`: the server on an existing MongoDB; work is done by `fhir-server work` beside it.

One process or several, which share the socket that they listen on; what they know of each other stands in the database.
"""

import argparse
import asyncio
import gc
import logging
import socket
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from ssl import SSLContext

import uvicorn

from fhir_server.app import build_app, compile_definitions
from fhir_server.cli.faults import CommandError
from fhir_server.cli.memory import keep_freed_memory
from fhir_server.cli.processes import Ready, Task, run_together
from fhir_server.settings import Settings, Transport, transport

_MOST_HEADER_BYTES = 64 * 1024
_GRACE_SECONDS = 10


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--port", type=int)
    parser.add_argument("--host")
    parser.add_argument("--processes", type=int)


def run(settings: Settings, arguments: argparse.Namespace) -> int:
    if not settings.mongo_uri:
        raise CommandError("serve needs FHIR_SERVER_MONGO_URI; `fhir-server demo` brings a MongoDB of its own.")

    def ready() -> None:
        print(f"ready {settings.base_url}", flush=True)

    with listening_socket(settings) as listener:
        tasks = listening(settings, listener)
        if len(tasks) == 1:
            tasks[0](ready)
        else:
            log_to_stderr(settings)
            run_together(tasks, ready)
    return 0


def listening(settings: Settings, listener: socket.socket) -> Sequence[Task]:
    """As many as the settings say, all of them on the same socket; each tells its metrics on a port of its own.

    What they share is compiled once, here.
    """
    keep_freed_memory()
    compile_definitions()
    first = settings.metrics_port
    ports = [first and first + number for number in range(settings.processes)]
    return [partial(listen, settings, listener, port) for port in ports]


def listening_socket(settings: Settings) -> socket.socket:
    """Bound before anything else is begun. Refuses plain text anywhere but on loopback or behind a declared proxy."""
    transport(settings)
    return _bound(settings.host, settings.port)


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise CommandError(f"Cannot listen on {host}:{port}: {error.strerror}.") from None
    return listener


def listen(settings: Settings, listener: socket.socket, metrics_port: int, when_ready: Ready) -> None:
    """Serve on the socket until SIGINT or SIGTERM. Metrics stay on loopback, wherever the socket is; 0: none."""
    log_to_stderr(settings)
    secured = transport(settings)
    app = build_app(settings, metrics_port=metrics_port)
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http="httptools",
        ws="none",
        # Its access log would write query strings: names, identifiers.
        access_log=False,
        log_level="warning",
        server_header=False,
        date_header=True,
        proxy_headers=settings.behind_tls_proxy,
        timeout_graceful_shutdown=_GRACE_SECONDS,
        ssl_context_factory=_context_factory(secured),
    )
    server = uvicorn.Server(config)
    sockets = [listener, *([_bound("127.0.0.1", metrics_port)] if metrics_port else [])]

    async def serving() -> None:
        running = asyncio.create_task(server.serve(sockets=sockets))
        while not server.started and not running.done():  # noqa: ASYNC110  uvicorn offers no event to wait for
            await asyncio.sleep(0.01)
        if not server.started:
            await running
            return
        calm_collector()
        when_ready()
        await running

    with suppress(KeyboardInterrupt):
        uvicorn_runner(serving)
    if not server.started:
        raise CommandError("The server did not start; its log says why.")


def log_to_stderr(settings: Settings) -> None:
    """The chosen level holds for our own messages, which name nobody; a driver's debug messages quote its commands."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("fhir_server").setLevel(settings.log_level.upper())


def calm_collector() -> None:
    """What was loaded at the start lives for good: leave it out of every collection, and collect less often.

    Measured: a search of 20 hits costs 12.6 ms of CPU with the default thresholds and 7.3 with these.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


def _context_factory(secured: Transport) -> Callable[[uvicorn.Config, Callable[[], SSLContext]], SSLContext] | None:
    context = secured.ssl_context()
    return (lambda *_: context) if context else None


def uvicorn_runner(main: Callable[[], Awaitable[None]]) -> None:
    """Run on uvloop, as uvicorn itself would."""
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_coroutine(main))


async def _coroutine(main: Callable[[], Awaitable[None]]) -> None:
    await main()
