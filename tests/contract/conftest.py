"""`clinic`: every contract of a port runs on the fake and on MongoDB."""

import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from pymongo import MongoClient

from fhir_server.kernel.json import Json
from tests.contract.clinics import Opened, in_memory, on_mongodb


@pytest.fixture(scope="session")
def contract_database(mongo_uri: str) -> Iterator[str]:
    """One for all contracts: to make a dozen collections takes longer than most tests."""
    name = f"test_contract_{secrets.token_hex(4)}"
    yield name
    with MongoClient[Json](mongo_uri) as client:
        client.drop_database(name)
        client.drop_database(f"{name}_keys")


@pytest.fixture(scope="session")
def contract_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the root key of that database lies."""
    return tmp_path_factory.mktemp("contract")


@pytest.fixture
def empty_database(mongo_uri: str, contract_database: str) -> str:
    """Its collections and keys stay, its rows are gone; whoever opens it remembers nothing of them."""
    with MongoClient[Json](mongo_uri) as client:
        for collection in client[contract_database].list_collections(filter={"type": "collection"}):
            client[contract_database][collection["name"]].delete_many({})
    return contract_database


@pytest.fixture(params=["memory", "mongodb"])
async def clinic(request: pytest.FixtureRequest) -> AsyncIterator[Opened]:
    if request.param == "memory":
        async with in_memory() as opened:
            yield opened
        return
    uri, database = request.getfixturevalue("mongo_uri"), request.getfixturevalue("empty_database")
    async with on_mongodb(uri, database, request.getfixturevalue("contract_folder")) as opened:
        yield opened
