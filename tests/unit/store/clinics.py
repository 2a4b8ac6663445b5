"""A real mongod that fails on command, and stores that share one database as several processes would."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pymongo import MongoClient

from fhir_server.kernel.json import Json
from fhir_server.store.embedded import EmbeddedMongo


class FailingMongo(EmbeddedMongo):
    """Takes `configureFailPoint`, which mongod otherwise refuses."""

    def _command(self, program: Path) -> tuple[str, ...]:
        return (*super()._command(program), "--setParameter", "enableTestCommands=1")

    @contextmanager
    def failing(self, *commands: str, times: int = 0, **how: object) -> Iterator[None]:
        """The next `times` of these commands fail, or all of them where 0; afterwards none."""
        with MongoClient[Json](self.uri) as client:
            mode: object = {"times": times} if times else "alwaysOn"
            data = {"failCommands": list(commands), "appName": "fhir-server", **how}
            client.admin.command({"configureFailPoint": "failCommand", "mode": mode, "data": data})
            try:
                yield
            finally:
                client.admin.command({"configureFailPoint": "failCommand", "mode": "off"})


@contextmanager
def failing_mongo() -> Iterator[FailingMongo]:
    with tempfile.TemporaryDirectory() as folder, FailingMongo(Path(folder)) as mongo:
        yield mongo
