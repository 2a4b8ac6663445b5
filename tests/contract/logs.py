"""What the tests of the log's tree share: a clinic on MongoDB whose rows they can reach, and what they put into it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from pymongo.asynchronous.database import AsyncDatabase

from fhir_server.kernel.json import Json
from fhir_server.store.clinic import ClinicStore
from fhir_server.store.connection import connect
from tests.contract.clinics import Noted, store_on
from tests.fakes.clock import FakeClock


@dataclass(frozen=True)
class Log:
    """`rows`: the database, as whoever breaks into it has it."""

    store: ClinicStore
    rows: AsyncDatabase[Json]

    async def note(self, *words: str) -> None:
        await self.store.audit.append([Noted(word) for word in words])

    async def writer(self) -> str:
        """The one whose lane was used last."""
        found = await self.rows["audit"].find_one({}, sort=[("$natural", -1)])
        assert found is not None
        return str(found["_id"]["w"])


@asynccontextmanager
async def opened_log(uri: str, database: str, folder: Path) -> AsyncIterator[Log]:
    client = connect(uri)
    try:
        async with store_on(uri, database, folder, FakeClock()) as store:
            yield Log(store, client[database])
    finally:
        await client.close()
