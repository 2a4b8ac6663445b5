"""What every test may ask for: the event loop, one mongod for the whole run, a database of its own."""

import secrets
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from pymongo import MongoClient

from fhir_server.kernel.json import Json
from fhir_server.store.embedded import EmbeddedMongo

settings.register_profile("tests", deadline=None)  # how loaded the machine is says nothing about what is tested
settings.load_profile("tests")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def mongo_uri() -> Iterator[str]:
    """A real replica set of one member; its data are gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="fhir-server-") as folder, EmbeddedMongo(Path(folder)) as mongo:
        yield mongo.uri


@pytest.fixture
def database_name(mongo_uri: str) -> Iterator[str]:
    """A name that no other test has. What was made under it, or under it with an ending, is dropped afterwards."""
    name = f"test_{secrets.token_hex(6)}"
    yield name
    with MongoClient[Json](mongo_uri) as client:
        for made in client.list_database_names():
            if made.startswith(name):
                client.drop_database(made)
