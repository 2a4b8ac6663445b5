"""What every test may ask for: the event loop, one mongod for the whole run, a database of its own; and the order."""

import gc
import secrets
import shutil
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from pymongo import MongoClient

from fhir_server.kernel.json import Json
from fhir_server.store.embedded import EmbeddedMongo

settings.register_profile("tests", deadline=None)  # how loaded the machine is says nothing about what is tested
settings.load_profile("tests")


_IN_MEMORY = Path("/dev/shm")  # noqa: S108  no name in it is guessed: the folder made there is a random one
_ROOM = 6 * 2**30
"""What is free there when it is used: the databases of a whole run take two or three."""


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Nineteen thousand tests stay until the end: the collector need not walk them again and again, as in the server.

    The pauses between two collections are the server's own (fhir_server.cli.serve).
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.set_threshold(50_000, 20, 100)
        gc.enable()


_FIRST = (
    "tests/flows/test_how_to_pages.py",
    "tests/flows/test_backup_how_to.py",
    "tests/flows/test_two_commands.py",
    "tests/flows/test_api_pages.py",
    "tests/flows/test_root_is_rotated.py",
    "tests/flows/test_role_matrix.py",
    "tests/flows/test_readme_tour.py",
    "tests/flows/test_users_how_to.py",
    "tests/flows/test_sign_in_journey.py",
    "tests/flows/test_kill.py",
    "tests/flows/test_log_survives.py",
    "tests/flows/test_bursts.py",
    "tests/properties/consent/test_withdrawal_narrows.py",
    "tests/properties/search/test_second_opinion.py",
    "tests/flows/test_drills.py",
)
"""Modules that take longest: begun last, one of them would go on alone when all others are through."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The order in which modules are handed out; pytest-xdist keeps it (`--no-loadscope-reorder`)."""
    rank = {module: number for number, module in enumerate(_FIRST)}
    items.sort(key=lambda item: rank.get(item.nodeid.partition("::")[0], len(_FIRST)))


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def mongo_uri() -> Iterator[str]:
    """A real replica set of one member; its data are gone afterwards.

    They lie in memory where there is room, for a commit waits for the disk otherwise, and to make a clinic's
    collections does so a hundred times. Tests that kill a mongod have one of their own, on the disk.
    """
    roomy = _IN_MEMORY.is_dir() and shutil.disk_usage(_IN_MEMORY).free >= _ROOM
    place = _IN_MEMORY if roomy else None
    with tempfile.TemporaryDirectory(prefix="fhir-server-", dir=place) as folder, EmbeddedMongo(Path(folder)) as mongo:
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
