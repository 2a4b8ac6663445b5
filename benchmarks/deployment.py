"""What is measured, started for the run and stopped after it: a real mongod, `fhir-server serve`, and the floors."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from benchmarks.connection import BenchmarkError
from fhir_server.cli.token import issue
from fhir_server.settings import Settings
from fhir_server.smart.token import Claims
from fhir_server.store.embedded import EmbeddedMongo

_ROOT = Path(__file__).parents[1]
_CLAIMS = Claims("benchmarks", "benchmarks", ("system/*.cruds",), timedelta(hours=1))
_STOP_SECONDS = 30
_CACHE_GIB = 4
"""The half of what a small server has, as MongoDB itself would take; the demo is content with less."""


@dataclass(frozen=True, slots=True)
class Process:
    pid: int
    port: int


@dataclass(frozen=True, slots=True)
class Deployment:
    """`token` is good for an hour and for every type; audit and scopes are on, as always. `environment` is its own."""

    server: Process
    floor: Process
    mongod: int
    mongo_uri: str
    token: str
    environment: Mapping[str, str] = field(repr=False)


@contextmanager
def deployed(processes: int = 1) -> Iterator[Deployment]:
    """A server of so many processes. Everything lies in a temporary folder that is gone afterwards."""
    with (
        tempfile.TemporaryDirectory(prefix="fhir-server-bench-") as folder,
        EmbeddedMongo(Path(folder) / "mongo", cache_gib=_CACHE_GIB) as mongo,
    ):
        place = Path(folder)
        port, floor_port = free_ports(2)
        environment, command = server_environment(mongo.uri, folder, port, processes), server_command()
        floors = (sys.executable, "-m", "benchmarks.floors", str(floor_port), mongo.uri)
        with (
            running((*command, "serve"), environment, place / "server.log") as server,
            running(floors, environment, place / "floors.log") as floor,
        ):
            # In a thread of its own: the driver's loop runs already.
            with ThreadPoolExecutor(1) as apart:
                token = apart.submit(
                    lambda: asyncio.run(issue(Settings.from_environment(environment), _CLAIMS))
                ).result()
            mongod = mongo.pid
            assert mongod is not None
            yield Deployment(Process(server, port), Process(floor, floor_port), mongod, mongo.uri, token, environment)


def server_command() -> tuple[str, ...]:
    return (str(Path(sys.executable).with_name("fhir-server")),)


def server_environment(mongo_uri: str, data_dir: str, port: int, processes: int = 1) -> dict[str, str]:
    """The caller's, without settings of another server."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("FHIR_SERVER_")}
    return inherited | {
        "FHIR_SERVER_MONGO_URI": mongo_uri,
        "FHIR_SERVER_DATA_DIR": data_dir,
        "FHIR_SERVER_PORT": str(port),
        "FHIR_SERVER_PROCESSES": str(processes),
    }


@contextmanager
def running(command: Sequence[str], environment: Mapping[str, str], log: Path) -> Iterator[int]:
    """From the line that begins with `ready` until SIGINT has ended it."""
    with log.open("wb") as errors:
        process = subprocess.Popen(
            command, cwd=_ROOT, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True
        )
        with process:
            assert process.stdout is not None
            try:
                if not any(line.startswith("ready") for line in process.stdout):
                    raise BenchmarkError(f"It did not start: {log.read_text()[-2000:]}")
                yield process.pid
            finally:
                process.send_signal(signal.SIGINT)
                try:
                    process.wait(_STOP_SECONDS)
                except subprocess.TimeoutExpired:
                    process.kill()


def free_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]
    finally:
        for probe in probes:
            probe.close()
