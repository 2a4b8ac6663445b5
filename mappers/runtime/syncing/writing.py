"""What is written on either side: over the version that was read, here with its Provenance and the open question."""

from dataclasses import dataclass

from mappers.fhir_sync.authority import Side
from mappers.mapping.identifiers import criteria
from mappers.mapping.json_text import Json, encode
from mappers.mapping.matching import match_task
from mappers.mapping.message import Message
from mappers.mapping.patients import known_by
from mappers.mapping.provenance import provenance
from mappers.mapping.result import IdentityQuestion
from mappers.runtime.clock import Clock
from mappers.runtime.faults import OvertakenError, RejectedError
from mappers.runtime.identity import with_candidates
from mappers.runtime.records import Records, created, replaced
from mappers.runtime.remote import Remote
from mappers.runtime.server import Server

_NOT_TO_BE = "entered-in-error"


@dataclass(frozen=True, slots=True)
class Writing:
    server: Server
    sides: dict[Side, Remote]
    records: Records
    clock: Clock

    async def theirs(self, resource: Json, before: Json | None) -> Json:
        there = self.sides[Side.THEIRS]
        if before is not None:
            return await there.update(resource, before["meta"]["versionId"])
        last = resource["identifier"][-1]
        return await there.create(resource, criteria(last["system"], last["value"]))

    async def ours(self, resource: Json, before: Json | None, source: Json) -> Json:
        """One commit; the id of what is new here is made of theirs, so that it is made once."""
        if before is None:
            name = f"{source['resourceType']}/{source['id']}"
            resource = {**resource, "id": self.records.id("copy", self.records.source, name)}
        entry = created(resource) if before is None else replaced(resource)
        reference = entry["request"]["url"]
        message = Message(encode(source), self.clock())
        questions = await self._questions(resource, reference) if before is None else []
        written = await self.sides[Side.OURS].transact(
            [entry, provenance(self.records.source, message, [reference]), *questions]
        )
        found = [one for one in written if f"{one['resourceType']}/{one.get('id')}" == reference]
        if not found:
            raise OvertakenError
        return found[0]

    async def take_back(self, resource: Json) -> None:
        """Deleted on the other side; where that server keeps what it has, it says there that it should not be."""
        there, version = self.sides[Side.THEIRS], resource["meta"]["versionId"]
        try:
            await there.delete(f"{resource['resourceType']}/{resource['id']}", version)
        except RejectedError:
            await there.update({**resource, "status": _NOT_TO_BE}, version)

    async def _questions(self, patient: Json, reference: str) -> list[Json]:
        """Whether a patient who is new here is somebody known: asked of a person, with the candidates."""
        if patient["resourceType"] != "Patient":
            return []
        asked = match_task(IdentityQuestion(reference, known_by(patient)), patient)
        new = {"fullUrl": reference, "resource": patient, "request": {"method": "POST", "url": "Patient"}}
        return [one for one in await with_candidates(self.server, [new, asked]) if one is not new]
