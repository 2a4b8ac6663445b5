"""`$import`: the lines of a file of Bulk Data, taken in under their own ids; a file that is sent again goes on.

https://hl7.org/fhir/uv/bulkdata/STU2/export.html has the format; rows S52, S96. Each line is an update like any other,
with every step that one passes. One that is there already as it is, is left alone: so whoever was stopped sends the
file once more.
"""

import asyncio
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

from fhir_server.engine.call import Call, Interaction, Trace
from fhir_server.engine.interactions import Engine
from fhir_server.engine.stored import Stored
from fhir_server.fhir.definitions import served_types
from fhir_server.kernel import json
from fhir_server.kernel.errors import (
    FhirError,
    ForbiddenError,
    GoneError,
    InvalidRequestError,
    Issue,
    NotFoundError,
    UnavailableError,
)
from fhir_server.kernel.identity import is_id
from fhir_server.kernel.json import Json

CREATED, UPDATED, UNCHANGED, REFUSED = "created", "updated", "unchanged", "refused"
_AT_ONCE = 50
_SERVERS_OWN = frozenset({"versionId", "lastUpdated"})
_LOG = "AuditEvent"


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a line; `issue` says why it was refused."""

    line: int
    outcome: str
    issue: Issue | None = None


class Importing:
    """`may`: is the caller one who moves data in bulk?"""

    def __init__(self, engine: Engine, may: Callable[[Call], bool]) -> None:
        self._engine, self._may = engine, may

    async def take(self, call: Call, lines: Sequence[bytes]) -> list[Taken]:
        """Raises ForbiddenError for who may not, UnavailableError where it has to be sent again."""
        async with self._engine.attempt(call):
            if not self._may(call):
                raise ForbiddenError("This role takes nothing in in bulk.")
            taken: list[Taken] = []
            for start in range(0, len(lines), _AT_ONCE):
                some = lines[start : start + _AT_ONCE]
                taken += await asyncio.gather(*(self._line(call, start + at, raw) for at, raw in enumerate(some, 1)))
            return taken

    async def _line(self, call: Call, number: int, raw: bytes) -> Taken:
        try:
            return Taken(number, await self._taken(call, json.decode(raw)))
        except UnavailableError:
            raise
        except FhirError as refusal:
            return Taken(number, REFUSED, refusal.issues[0])

    async def _taken(self, call: Call, resource: object) -> str:
        type, id = _named(resource)
        assert isinstance(resource, dict)
        reading = replace(call, interaction=Interaction.READ, type=type, id=id, operation=None, trace=Trace())
        try:
            await self._engine.steps.admit(reading)
            known: Stored | None = await self._engine.look(reading)
        except (NotFoundError, GoneError):
            known = None
        if known is not None and is_there((await known.whole()).resource, resource):
            return UNCHANGED
        writing = replace(reading, interaction=Interaction.UPDATE, trace=Trace())
        stored = await self._engine.update(writing, resource)
        return CREATED if stored.version == 1 else UPDATED


def _named(resource: object) -> tuple[str, str]:
    if not isinstance(resource, dict) or resource.get("resourceType") not in served_types():
        raise InvalidRequestError("A line is a resource of a type that is served.")
    type, id = str(resource["resourceType"]), resource.get("id")
    if not isinstance(id, str) or not is_id(id):
        raise InvalidRequestError("A line has the id of its resource.")
    if type == _LOG:
        raise InvalidRequestError("The log of another server does not become part of this one's.")
    return type, id


def is_there(stored: Json, line: Json) -> bool:
    """Does the line say what is stored, but for what each server writes itself: versions, a narrative, a label?"""
    meta, said = stored.get("meta", {}), line.get("meta", {})
    kept = _without(meta, _SERVERS_OWN | ({"security"} - said.keys()))
    rest = _without(stored, {"meta"} | ({"text"} - line.keys()))
    return rest == _without(line, {"meta"}) and kept == _without(said, _SERVERS_OWN)


def _without(resource: Json, names: AbstractSet[str]) -> Json:
    return {name: value for name, value in resource.items() if name not in names}
