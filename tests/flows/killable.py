"""A server and a database as two processes of their own, each of which can be killed and started again."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fhir_server.store import embedded
from fhir_server.store.embedded import EmbeddedMongo
from tests.servers import token_for

COMMAND = str(Path(sys.executable).with_name("fhir-server"))


class Killable:
    """`mongo` comes back on the port that it had, as a database does."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.mongo = EmbeddedMongo(folder / "mongo")
        self._port = free_port()
        self._server: subprocess.Popen[str] | None = None

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def base_url(self) -> str:
        return self.address

    @property
    def mongo_uri(self) -> str:
        return self.mongo.uri

    @property
    def environment(self) -> dict[str, str]:
        own = {"MONGO_URI": self.mongo.uri, "DATA_DIR": str(self.folder), "PORT": str(self._port), "LOG_LEVEL": "error"}
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("FHIR_SERVER_")}
        return {**inherited, **{f"FHIR_SERVER_{name}": value for name, value in own.items()}}

    def start_server(self) -> None:
        """Returns when it says that it is ready."""
        self._server = subprocess.Popen(
            [COMMAND, "serve"], env=self.environment, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        assert self._server.stdout is not None
        line = self._server.stdout.readline()
        assert line.startswith("ready "), "the server did not start"

    def kill_server(self) -> None:
        assert self._server is not None
        self._server.send_signal(signal.SIGKILL)
        self._server.wait()
        if self._server.stdout is not None:
            self._server.stdout.close()
        self._server = None

    def kill_mongo(self) -> None:
        assert self.mongo.pid is not None
        os.kill(self.mongo.pid, signal.SIGKILL)

    def restart_mongo(self) -> None:
        self.mongo.stop()
        self.mongo.start()

    def stop(self) -> None:
        if self._server is not None:
            self.kill_server()
        self.mongo.stop()

    def token(self) -> str:
        return token_for(self.environment)


@contextmanager
def killable(folder: Path) -> Iterator[Killable]:
    place = Killable(folder)
    with pytest.MonkeyPatch.context() as patch:
        port = free_port()
        patch.setattr(embedded, "_free_port", lambda: port)
        place.mongo.start()
        try:
            place.start_server()
            yield place
        finally:
            place.stop()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
