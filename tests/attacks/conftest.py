"""One clinic that is attacked, on the session's mongod; and a watch over what an attack leaves behind."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.attacks.watch import Watch
from tests.clinics import Caller, InProcess, running


@pytest.fixture(scope="session")
async def clinic(mongo_uri: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[InProcess]:
    data_dir: Path = tmp_path_factory.mktemp("attacks")
    async with running(mongo_uri, "test_attacks", data_dir) as inside:
        yield inside


@pytest.fixture
async def watch(
    clinic: InProcess, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> AsyncIterator[Watch]:
    watching = Watch(clinic, caplog, capfd)
    await watching.begin()
    yield watching
    await watching.end()


@pytest.fixture
def mallory(clinic: InProcess) -> Caller:
    return clinic.caller(client="mallory")


@pytest.fixture
async def indexed(clinic: InProcess) -> None:
    """The log, found up to now: a worker does it all the time, here none runs.

    What all tests before recorded may be more than one search has time for.
    """
    await clinic.clinic.store.events.index()
