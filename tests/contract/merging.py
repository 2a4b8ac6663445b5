"""A desk at which two records of one person are merged, on whichever clinic."""

from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from typing import Any

from fhir_server.audit.recorder import Recorder
from fhir_server.consent.law import law_of
from fhir_server.consent.lifecycle import Lifecycle
from fhir_server.consent.standing import Standing
from fhir_server.engine.call import Call, Interaction
from fhir_server.engine.change import BlobMove
from fhir_server.engine.courtesy import Courtesy
from fhir_server.engine.drafts import Drafts
from fhir_server.engine.interactions import Engine
from fhir_server.engine.pipeline import Pipeline
from fhir_server.engine.stored import Stored
from fhir_server.kernel.identity import ResourceKey
from fhir_server.kernel.json import Json
from fhir_server.media.ports import LIVE, PENDING
from fhir_server.privacy.merging.attempting import Asked, Outcome
from fhir_server.privacy.merging.both import Both
from fhir_server.privacy.merging.finishing import FINISH_MERGE, Finishing
from fhir_server.privacy.merging.merging import Merging
from fhir_server.privacy.merging.moving import Moving
from fhir_server.privacy.merging.record import Pair
from fhir_server.privacy.merging.unmerging import Unmerging
from fhir_server.search.language import Language
from fhir_server.search.parse import parse
from tests.contract.clinics import Opened
from tests.fakes.clinic import BASE
from tests.unit.engine.calls import SERVER, SYSTEM

OLD, NEW = "told", "tnew"
PAIR = Pair(OLD, NEW)
KINDS = "http://terminology.hl7.org/CodeSystem/v2-0203"
NHS = "https://fhir.nhs.uk/Id/nhs-number"


@dataclass
class Desk:
    at: Opened
    engine: Engine
    merging: Merging
    unmerging: Unmerging
    finishing: Finishing
    moving: Moving

    def call(
        self, interaction: Interaction = Interaction.OPERATION, type: str = "Patient", id: str | None = None
    ) -> Call:
        operation = "merge" if interaction is Interaction.OPERATION else None
        return Call(interaction, SYSTEM, self.at.clock.now(), type, id, operation=operation)

    async def put(self, resource: Json) -> Stored:
        self.at.clock.advance(timedelta(seconds=1))
        asking = self.call(Interaction.UPDATE, resource["resourceType"], resource["id"])
        return await self.engine.update(asking, resource)

    async def photo(self, id: str, of: str, data: bytes = b"picture" * 20_000) -> str:
        media = {"resourceType": "Media", "id": id, "status": "completed", "subject": {"reference": f"Patient/{of}"}}
        key = ResourceKey("Media", id)
        photo = await self.at.photos.put(data, "image/jpeg", key, (of,))
        content = {"contentType": "image/jpeg", "url": f"Binary/{photo.id}"}
        change = self.engine.drafts.of(key, {**media, "content": content}).moving_blob(
            BlobMove(photo.id, PENDING, LIVE)
        )
        await self.at.resources.commit([change])
        return photo.id

    async def merge(self, *, preview: bool = False, result: Json | None = None) -> Outcome:
        self.at.clock.advance(timedelta(seconds=1))
        return await self.merging.merge(self.call(), Asked(PAIR, result, preview))

    async def unmerge(self, *, preview: bool = False) -> Outcome:
        self.at.clock.advance(timedelta(seconds=1))
        return await self.unmerging.unmerge(self.call(), Asked(PAIR, None, preview))

    async def read(self, reference: str) -> Json:
        stored = await self.stored(reference)
        return stored.resource

    async def stored(self, reference: str) -> Stored:
        stored = await self.at.resources.read(ResourceKey(*reference.split("/")))
        assert stored is not None
        return stored

    async def found(self, type: str, **asked: str) -> list[str]:
        pairs = tuple(asked.items())
        found = await self.at.resources.find(parse(type, pairs, Language(BASE)), None, 50)
        return sorted(one.key.id for one in found.matches)

    async def consents(self, patient: str) -> dict[str, int]:
        head = (await self.at.heads.heads([patient]))[patient]
        return {str(key): version for key, version in head.consents.items()}

    async def bytes_of(self, media: str) -> bytes:
        url = (await self.read(media))["content"]["url"]
        photo = await self.at.photos.find(url.removeprefix("Binary/"))
        assert photo is not None
        assert photo.state == LIVE
        return b"".join([part async for part in self.at.photos.stream(photo, 0, photo.length)])


def person(id: str, **more: Any) -> Json:
    return {"resourceType": "Patient", "id": id, "active": True, "name": [{"family": "Chalmers"}], **more}


def number(value: str, system: str = "urn:clinic", **more: Any) -> Json:
    return {"identifier": [{"system": system, "value": value, **more}]}


async def desk_on(clinic: Opened) -> Desk:
    """Two patients, the one of whom has an old record."""
    numbers = count(1)

    def new_id() -> str:
        return f"merge{next(numbers)}"

    standing = Standing(clinic.resources, clinic.heads, law_of("eu"))
    pipeline = Pipeline((Lifecycle(clinic.resources, standing), Recorder(clinic.audit, BASE)))
    drafts = Drafts(clinic.resources, pipeline, new_id, BASE, SERVER)
    engine = Engine(clinic.resources, pipeline, drafts, lambda: Language(BASE), courtesy=Courtesy(patience=2))
    both = Both(engine, clinic.heads, SERVER)
    moving = Moving(engine, clinic.heads, clinic.mentions, clinic.photos, BASE)
    finishing = Finishing(engine, moving, clinic.photos, both, new_id, clinic.clock, SERVER)
    found = Desk(
        clinic,
        engine,
        Merging(engine, both, moving, finishing, new_id),
        Unmerging(engine, both, moving, finishing, new_id),
        finishing,
        moving,
    )
    await found.put(person(OLD, **number("1")))
    await found.put(person(NEW, **number("2")))
    return found


async def finished(desk: Desk) -> None:
    """What the worker does with all that is queued."""
    while leased := await desk.at.tasks.lease():
        assert leased.task.name == FINISH_MERGE
        await desk.finishing(leased.task)
        await desk.at.tasks.done(leased)


def task(code: str, of: str, **more: Any) -> Json:
    coding = {"system": "urn:aesthetic-fhir-server:task", "code": code}
    return {
        "resourceType": "Task",
        "id": f"{code}-{of}",
        "status": "requested",
        "intent": "order",
        "code": {"coding": [coding]},
        "for": {"reference": f"Patient/{of}"},
        **more,
    }
