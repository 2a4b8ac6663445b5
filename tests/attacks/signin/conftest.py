"""One clinic of two servers for all attacks on its door."""

from collections.abc import AsyncIterator

import pytest

from tests.attacks.signin.clinics import Servers, servers
from tests.browsing import Browser


@pytest.fixture(scope="package")
async def at(mongo_uri: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Servers]:
    async with servers(mongo_uri, "test_door_attacks", tmp_path_factory.mktemp("door")) as opened:
        yield opened


@pytest.fixture
async def browser(at: Servers) -> AsyncIterator[Browser]:
    async with at.browser() as one:
        yield one
