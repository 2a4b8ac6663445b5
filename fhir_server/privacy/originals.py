"""Whose originals somebody opens: an unusual run through many patients' is told, and further on stopped.

Row S23; GDPR Art. 32(1)(b), 33. Counted are distinct patients in an hour of the clock, in every process together, for
persons; never renditions, which are made to be looked through. What a service takes out has its own doors and bounds.
"""

import hashlib
from dataclasses import dataclass

from fhir_server.engine.call import Call, Interaction, Principal
from fhir_server.engine.interactions import Engine
from fhir_server.engine.stored import Stored
from fhir_server.kernel.clock import Clock, instant
from fhir_server.kernel.errors import StaleVersionError, TooManyRequestsError
from fhir_server.kernel.identity import ResourceKey
from fhir_server.kernel.json import Json
from fhir_server.media.labels import is_rendition
from fhir_server.privacy.ports import Openings
from fhir_server.smart.tie_sources import TASK_SYSTEM

UNUSUAL = "unusual-access"
_HOUR = 3600
_MOST_KNOWN = 100_000


@dataclass(frozen=True, slots=True)
class Bounds:
    """Of how many patients in an hour it is told, and at how many it is stopped; 0 for never."""

    told: int
    stopped: int


class Originals:
    """Asked by `media.Delivery` for each photo that may leave. `server` is who files the Task."""

    def __init__(self, engine: Engine, openings: Openings, bounds: Bounds, clock: Clock, server: Principal) -> None:
        self._engine, self._openings, self._bounds = engine, openings, bounds
        self._clock, self._server = clock, server
        self._known: set[tuple[str, str]] = set()

    async def opened(self, call: Call, media: Stored) -> None:
        """Raises TooManyRequestsError, recorded, where it has to stop."""
        person = call.principal.fhir_user
        if not person or is_rendition(media.resource):
            return
        hour = int(self._clock.now().timestamp()) // _HOUR
        run = f"{person} {hour}"
        fresh = [patient for patient in media.subjects if (run, patient) not in self._known]
        if not fresh:
            return
        count = await self._openings.count(run, fresh, (hour + 2) * _HOUR)
        if self._bounds.told and count > self._bounds.told:
            await self._tell(person, run, count)
        if self._bounds.stopped and count > self._bounds.stopped:
            failure = TooManyRequestsError("Originals of unusually many patients were opened in this hour.")
            await self._engine.refused(call, failure)
            raise failure
        if len(self._known) > _MOST_KNOWN:
            self._known.clear()
        self._known.update((run, patient) for patient in fresh)

    async def _tell(self, person: str, run: str, count: int) -> None:
        """One Task for each run, whoever sees it first."""
        id = f"{UNUSUAL}-{hashlib.sha256(run.encode()).hexdigest()[:40]}"
        key, now = ResourceKey("Task", id), self._clock.now()
        if await self._engine.store.read(key) is not None:
            return
        call = Call(Interaction.UPDATE, self._server, now, key.type, key.id)
        try:
            await self._engine.commit(call, self._engine.drafts.of(key, _task(id, person, count, instant(now))))
        except StaleVersionError:
            return  # Another process was faster.


def _task(id: str, person: str, count: int, now: str) -> Json:
    return {
        "resourceType": "Task",
        "id": id,
        "status": "requested",
        "intent": "order",
        "priority": "urgent",
        "code": {"coding": [{"system": TASK_SYSTEM, "code": UNUSUAL, "display": "Unusual access to originals"}]},
        "description": f"Originals of {count} patients were opened by one person within an hour.",
        "focus": {"reference": person},
        "authoredOn": now,
    }
