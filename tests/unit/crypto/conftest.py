import pytest

from tests.fakes.key_store import FakeKeyStore, FakeRootKeys


@pytest.fixture
def store() -> FakeKeyStore:
    return FakeKeyStore()


@pytest.fixture
def root() -> FakeRootKeys:
    return FakeRootKeys()
