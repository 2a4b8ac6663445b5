"""The installed command in a process of its own, on a real socket: for what cannot be seen from inside."""

import asyncio
import http.client
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path

from fhir_server.cli import place
from fhir_server.cli.record import OPERATOR
from fhir_server.cli.token import issue
from fhir_server.settings import Settings
from fhir_server.smart.token import Claims

COMMAND = (str(Path(sys.executable).with_name("fhir-server")),)
_PATIENCE = 60


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment(data_dir: Path, **settings: object) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("FHIR_SERVER_")}
    return {
        **inherited,
        "FHIR_SERVER_DATA_DIR": str(data_dir),
        **{f"FHIR_SERVER_{name.upper()}": str(value) for name, value in settings.items()},
    }


def run(*arguments: str, env: Mapping[str, str], patience: int = _PATIENCE) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments], env=env, capture_output=True, text=True, timeout=patience, check=False
    )


def token_for(env: Mapping[str, str], scope: str = "system/*.cruds") -> str:
    """An hour's token, as the operator gets one; in a thread of its own, for a test may run a loop.

    Not by the command: it takes two seconds to start, and has tests of its own.
    """
    with ThreadPoolExecutor(1) as apart:
        return apart.submit(asyncio.run, _issued(env, scope)).result(_PATIENCE)


async def _issued(env: Mapping[str, str], scope: str) -> str:
    settings = place.beside(Settings.from_environment(env))
    return await issue(settings, Claims(OPERATOR, OPERATOR, tuple(scope.split()), timedelta(hours=1)))


@dataclass(frozen=True, eq=False)
class Server:
    process: "subprocess.Popen[str]"
    port: int
    env: Mapping[str, str]
    said: tuple[str, ...]
    log: Path

    @cache  # noqa: B019  it lives as long as its module's tests
    def token(self, *, scope: str = "system/*.cruds") -> str:
        return token_for(self.env, scope)

    def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, dict[str, str], bytes]:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body or None, given)
            answer = connection.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    def send(self, raw: bytes) -> bytes:
        """These very bytes, and all that comes back until the server closes or is silent."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as wire:
            wire.settimeout(2)
            wire.sendall(raw)
            parts = []
            with suppress(TimeoutError, ConnectionError):
                while part := wire.recv(65_536):
                    parts.append(part)
        return b"".join(parts)

    def stop(self, number: int = signal.SIGINT) -> int:
        self.process.send_signal(number)
        return self.process.wait(_PATIENCE)


@contextmanager
def started(command: str, data_dir: Path, **settings: object) -> Iterator[Server]:
    """Ready when entered; ended, if it still runs, when left."""
    port = free_port()
    env = environment(data_dir, port=port, **settings)
    log = data_dir / "stderr.log"
    data_dir.mkdir(parents=True, exist_ok=True)
    with log.open("a") as errors:
        process = subprocess.Popen([*COMMAND, command], env=env, stdout=subprocess.PIPE, stderr=errors, text=True)
        try:
            yield Server(process, port, env, tuple(_until_ready(process, log)), log)
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
                process.wait(_PATIENCE)
            assert process.stdout is not None
            process.stdout.close()


def _until_ready(process: "subprocess.Popen[str]", log: Path) -> Iterator[str]:
    assert process.stdout is not None
    for line in process.stdout:
        yield line.rstrip("\n")
        if line.startswith("ready"):
            return
    raise AssertionError(f"It ended with {process.wait(_PATIENCE)} before it was ready: {log.read_text()[-2000:]}")
