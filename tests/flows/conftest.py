"""One clinic for the journeys, on the session's mongod; and the real bundles in it."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from tests.clinics import InProcess, running
from tests.flows.loaded import Loaded, load
from tests.samples import synthea_names


@pytest.fixture(scope="session")
async def clinic(mongo_uri: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[InProcess]:
    data_dir: Path = tmp_path_factory.mktemp("flows")
    async with running(mongo_uri, "test_flows", data_dir) as inside:
        yield inside


@pytest.fixture(scope="session")
async def patients_clinic(mongo_uri: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[InProcess]:
    """One that holds nothing but the bundles, so that a search can be compared with a look at them."""
    data_dir: Path = tmp_path_factory.mktemp("patients")
    async with running(mongo_uri, "test_patients", data_dir) as inside:
        yield inside


@pytest.fixture(scope="session")
async def loaded(patients_clinic: InProcess) -> Sequence[Loaded]:
    names = synthea_names()
    if not names:
        pytest.skip("The real bundles are not beside the repository.")
    return [await load(patients_clinic.caller(), name) for name in names]


@pytest.fixture
async def indexed(clinic: InProcess) -> None:
    """The log, found up to now: a worker does it all the time, here none runs.

    What all tests before recorded may be more than one search has time for.
    """
    await clinic.clinic.store.events.index()
