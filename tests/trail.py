"""What the audit log of a clinic says, opened row by row with the clinic's own keys."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from pymongo import AsyncMongoClient

from fhir_server.clinic import Clinic
from fhir_server.crypto.keys import KeyId
from fhir_server.kernel import json
from fhir_server.kernel.json import Json
from fhir_server.store.documents import Documents
from fhir_server.store.lane_keys import Lane


@dataclass(frozen=True, slots=True)
class Trail:
    clinic: Clinic
    mongo: AsyncMongoClient[Json]

    async def events(self, after: frozenset[str] = frozenset()) -> list[Json]:
        """Every AuditEvent but those of `after`, in the order of their place in the log."""
        rows = (
            await self.mongo[self.clinic.settings.database]["audit"].find({}).sort([("seq", 1), ("_id", 1)]).to_list()
        )
        wanted = [row for row in rows if _id(row) not in after]
        keys = await self.clinic.keyring.open_keys({KeyId(row["key"]) for row in wanted})
        documents = Documents(self.clinic.settings.database, bytes)
        return [json.decode(Lane.of(keys[KeyId(row["key"])], row["_id"]["w"]).opened(documents, row)) for row in wanted]

    async def known(self) -> frozenset[str]:
        rows = self.mongo[self.clinic.settings.database]["audit"].find({}, {"_id": 1})
        return frozenset([_id(row) async for row in rows])

    @asynccontextmanager
    async def recording(self) -> AsyncIterator["Recorded"]:
        """What is recorded inside the block; to be read after it."""
        before = await self.known()
        recorded = Recorded()
        yield recorded
        recorded.events = await self.events(before)


@dataclass(slots=True)
class Recorded:
    events: Sequence[Json] = field(default_factory=list)

    @property
    def only(self) -> Json:
        assert len(self.events) == 1, f"{len(self.events)} events: {[said(event) for event in self.events]}"
        return self.events[0]


def said(event: Json) -> tuple[str, str]:
    """The interaction and the outcome of an event."""
    subtypes = [coding["code"] for coding in event.get("subtype", [])]
    return ",".join(subtypes), event["outcome"]


def named(event: Json) -> set[str]:
    """Every reference among its entities."""
    entities: list[dict[str, Any]] = event.get("entity", [])
    return {entity["what"]["reference"] for entity in entities if "reference" in entity.get("what", {})}


def _id(row: Json) -> str:
    return f"{row['_id']['w']}-{row['_id']['n']}"
