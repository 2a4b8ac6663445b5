"""One clinic for the answers of the API, on the session's mongod."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.clinics import InProcess, running


@pytest.fixture(scope="session")
async def clinic(mongo_uri: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[InProcess]:
    data_dir: Path = tmp_path_factory.mktemp("api")
    async with running(mongo_uri, "test_api", data_dir) as inside:
        yield inside
