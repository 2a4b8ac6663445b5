"""One clinic with an app of each kind, a service and an EHR."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.clinics import InProcess, running
from tests.smart.apps import EHR, NATIVE, READER, SERVICE, SIGNING, WEB, App, register_all


@pytest.fixture(scope="session")
async def clinic(mongo_uri: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[InProcess]:
    data_dir: Path = tmp_path_factory.mktemp("smart")
    named = {"organization_name": "Clinic of the Tests", "organization_id": "urn:oid:1.2.3", "token_rate": 10_000}
    async with running(mongo_uri, "test_smart", data_dir, **named) as inside:
        register_all(inside)
        yield inside


@pytest.fixture
def native(clinic: InProcess) -> App:
    """A public client."""
    return App(clinic, NATIVE)


@pytest.fixture
def web(clinic: InProcess) -> App:
    """A confidential client with a secret."""
    return App(clinic, WEB)


@pytest.fixture
def signing(clinic: InProcess) -> App:
    """A confidential client with a key."""
    return App(clinic, SIGNING)


@pytest.fixture
def service(clinic: InProcess) -> App:
    return App(clinic, SERVICE)


@pytest.fixture
def reader(clinic: InProcess) -> App:
    """A service that may only read."""
    return App(clinic, READER)


@pytest.fixture
def ehr(clinic: InProcess) -> App:
    return App(clinic, EHR)


@pytest.fixture(params=["native", "web", "signing"])
def app(request: pytest.FixtureRequest) -> App:
    """Each kind of client that a person uses."""
    found: App = request.getfixturevalue(request.param)
    return found
