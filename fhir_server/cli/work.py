"""`fhir-server work`: one worker beside the servers, on the same MongoDB."""

import argparse
import asyncio
import contextlib
import signal

from fhir_server.app import open_clinic
from fhir_server.cli.faults import CommandError
from fhir_server.cli.processes import Ready
from fhir_server.cli.scheduled import working
from fhir_server.cli.serve import log_to_stderr
from fhir_server.settings import Settings


def arguments(parser: argparse.ArgumentParser) -> None:
    """It takes none of its own."""


def run(settings: Settings, arguments: argparse.Namespace) -> int:
    if not settings.mongo_uri:
        raise CommandError("work needs FHIR_SERVER_MONGO_URI, the database of the server it works for.")
    work(settings, lambda: print("ready", flush=True))
    return 0


def work(settings: Settings, when_ready: Ready) -> None:
    """Until SIGINT or SIGTERM."""
    log_to_stderr(settings)
    asyncio.run(_work(settings, when_ready))


async def _work(settings: Settings, when_ready: Ready) -> None:
    async with open_clinic(settings) as clinic:
        task = asyncio.create_task(working(clinic))
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
        when_ready()
        with contextlib.suppress(asyncio.CancelledError):
            await task
