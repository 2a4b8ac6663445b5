"""The clinics on which each contract runs: one in memory, one on MongoDB. And what the contracts write into them."""

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from fhir_server.crypto.providers.file import FileProvider
from fhir_server.crypto.providers.port import RootKeyProvider
from fhir_server.engine.change import Change, LegalBasis
from fhir_server.engine.ports import AuditLog, Heads, ResourceStore, TaskQueue
from fhir_server.engine.stored import Stored
from fhir_server.fhir.compartments import subjects
from fhir_server.kernel import json
from fhir_server.kernel.clock import Clock, instant
from fhir_server.kernel.identity import ResourceKey
from fhir_server.kernel.json import Json
from fhir_server.media.ports import PhotoVault
from fhir_server.privacy.ports import Mentions
from fhir_server.store.clinic import ClinicStore, open_store
from fhir_server.store.connection import connect
from fhir_server.store.layouts import PATIENCE
from tests.fakes.clinic import BASE, FakeClinic
from tests.fakes.clock import FakeClock

Events = dict[tuple[str, int], Json]


@dataclass(frozen=True)
class Opened:
    """The ports, and for the test what was recorded: (writer, number) -> event."""

    resources: ResourceStore
    heads: Heads
    audit: AuditLog
    tasks: TaskQueue
    photos: PhotoVault
    mentions: Mentions
    clock: FakeClock
    events: Callable[[], Awaitable[Events]]


@asynccontextmanager
async def in_memory() -> AsyncIterator[Opened]:
    clock = FakeClock()
    clinic = FakeClinic(clock)

    async def events() -> Events:
        return {place: json.decode(event) for place, (_, event) in clinic.memory.events.items()}

    yield Opened(
        clinic.resources, clinic.heads, clinic.audit, clinic.tasks, clinic.photos, clinic.mentions, clock, events
    )


@asynccontextmanager
async def on_mongodb(uri: str, database: str, folder: Path) -> AsyncIterator[Opened]:
    clock = FakeClock()
    async with store_on(uri, database, folder, clock) as store:

        async def events() -> Events:
            return await opened_events(uri, database, store)

        yield Opened(
            store.resources, store.heads, store.audit, store.tasks, store.photos, store.mentions, clock, events
        )


@asynccontextmanager
async def store_on(
    uri: str,
    database: str,
    folder: Path,
    clock: Clock,
    provider: RootKeyProvider | None = None,
    patience: float = PATIENCE,
) -> AsyncIterator[ClinicStore]:
    provider = provider or FileProvider.create(folder / "keys" / "root.json")
    async with open_store(uri, database, BASE, provider, clock, secrets.token_bytes, patience) as store:
        yield store


async def opened_events(uri: str, database: str, store: ClinicStore) -> Events:
    """What an auditor with all keys sees of the rows as they lie in the database."""
    client = connect(uri)
    try:
        places = [row["_id"] for row in await client[database]["audit"].find({}, {"_id": 1}).to_list(None)]
    finally:
        await client.close()
    found = {}
    for place in places:
        event = await store.events.read(f"{place['w']}-{place['n']}")
        assert event is not None
        found[place["w"], place["n"]] = event.resource
    return found


@dataclass(frozen=True)
class Noted:
    """An audit entry that says one word, and of which patient."""

    word: str
    bases: tuple[LegalBasis, ...] = ()
    patient: str | None = None
    grant: str = ""

    def event(self, event_id: str, recorded: datetime) -> bytes:
        what = [{"what": {"reference": f"Patient/{self.patient}"}}] if self.patient else []
        event = {"resourceType": "AuditEvent", "id": event_id, "recorded": instant(recorded), "outcomeDesc": self.word}
        return json.encode({**event, "action": "R", "entity": what})


def patient(id: str, family: str = "Chalmers", birth_date: str = "1974-12-25") -> Json:
    return {"resourceType": "Patient", "id": id, "name": [{"family": family}], "birthDate": birth_date}


def observation(id: str, of: str, status: str = "final") -> Json:
    return {
        "resourceType": "Observation",
        "id": id,
        "status": status,
        "code": {"text": "Skin type"},
        "subject": {"reference": f"Patient/{of}"},
    }


def writing(resource: Json, previous: Stored | None = None) -> Change:
    key = ResourceKey(resource["resourceType"], resource["id"])
    return Change(key, resource, previous, subjects(resource, BASE))


def deleting(previous: Stored) -> Change:
    return Change(previous.key, None, previous, previous.subjects)


async def put(clinic: Opened, *resources: Json) -> tuple[Stored, ...]:
    """New versions, one commit each, on top of what is there."""
    stored: list[Stored] = []
    for resource in resources:
        previous = await clinic.resources.read(ResourceKey(resource["resourceType"], resource["id"]))
        stored += await clinic.resources.commit([writing(resource, previous)])
    return tuple(stored)


def without_raw(stored: Sequence[Stored]) -> list[Stored]:
    return [replace(one, raw={}) for one in stored]
