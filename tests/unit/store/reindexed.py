"""Two servers of one clinic whose index is rebuilt, and what is searched meanwhile."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from pymongo import AsyncMongoClient

from fhir_server.crypto.providers.file import FileProvider
from fhir_server.kernel.identity import ResourceKey
from fhir_server.kernel.json import Json
from fhir_server.search.language import Language
from fhir_server.search.parse import parse
from fhir_server.store.clinic import ClinicStore
from fhir_server.store.reindexing import Progress
from tests.contract.clinics import patient, store_on, writing
from tests.fakes.clock import FakeClock

PATIENCE = 0.15
EYE_COLOUR = "http://clinic.example/eye-colour"


def eye_colour(**changes: object) -> Json:
    return {
        "resourceType": "SearchParameter",
        "id": "eye-colour",
        "url": "http://clinic.example/SearchParameter/eye-colour",
        "name": "EyeColour",
        "status": "active",
        "description": "By the colour of the eyes.",
        "code": "eye-colour",
        "base": ["Patient"],
        "type": "token",
        "expression": f"Patient.extension.where(url = '{EYE_COLOUR}').value",
        **changes,
    }


def with_eyes(id: str, colour: str) -> Json:
    return {**patient(id), "extension": [{"url": EYE_COLOUR, "valueCode": colour}]}


class Clinics:
    """Servers of one clinic, each with its own idea of the index; and their database from outside."""

    def __init__(self, stores: list[ClinicStore], database: Any, clock: FakeClock) -> None:
        self.stores, self.database, self.clock = stores, database, clock
        self.one, self.other = stores

    async def put(self, *resources: Json, by: ClinicStore | None = None) -> None:
        store = by or self.one
        for resource in resources:
            previous = await store.resources.read(ResourceKey(resource["resourceType"], resource["id"]))
            await store.resources.commit([writing(resource, previous)])

    async def fill(self, patients: int) -> None:
        changes = [writing(with_eyes(f"p{number:04}", "brown")) for number in range(patients)]
        for at in range(0, patients, 100):
            await self.one.resources.commit(changes[at : at + 100])

    async def reindex(self, *inside: str, by: ClinicStore | None = None, **how: bool) -> list[Progress]:
        store = by or self.one
        wanted = await store.reindexing.wanted(inside)
        return [each async for each in store.reindexing.run(wanted.layout, longest_write=0.1, **how)]

    async def layouts_of_rows(self) -> set[int]:
        return set(await self.database["resources"].distinct("layout", {"deleted": False}))


@asynccontextmanager
async def opened(
    mongo_uri: str, database_name: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Clinics]:
    monkeypatch.setattr("fhir_server.store.reindexing.MARGIN", 0.05)
    monkeypatch.setattr("fhir_server.store.layouts.MARGIN", 0.05)
    FileProvider.create(folder / "keys" / "root.json")
    clock = FakeClock()
    async with AsyncExitStack() as stack:
        client: AsyncMongoClient[Json] = await stack.enter_async_context(AsyncMongoClient(mongo_uri))
        opening = [store_on(mongo_uri, database_name, folder, clock, patience=PATIENCE) for _ in range(2)]
        yield Clinics([await stack.enter_async_context(each) for each in opening], client[database_name], clock)


async def found(store: ClinicStore, type: str, **asked: str) -> list[str]:
    """All that a search finds, as a server would ask: in the language of the index as it knows it."""
    language = Language(registry=store.layouts.active)
    query = parse(type, [(name.replace("_", "-"), value) for name, value in asked.items()], language)
    ids: list[str] = []
    position = None
    while True:
        page = await store.resources.find(query, position, 1000)
        ids += [each.key.id for each in page.matches]
        if (position := page.position) is None:
            return sorted(ids)


async def known_everywhere() -> None:
    """Also to a process that nobody asked for anything meanwhile."""
    await asyncio.sleep(3 * PATIENCE)


async def tokens_of(clinics: Clinics) -> Mapping[str, list[int]]:
    rows = await clinics.database["resources"].find({}, {"tokens": 1}).to_list(None)
    return {row["_id"]: sorted(row["tokens"]) for row in rows}
