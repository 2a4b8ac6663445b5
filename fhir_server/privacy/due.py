"""Whose files have been kept for as long as they must be: the due list, and what asks for their end.

Row B8 of the obligations; GDPR Art. 5(1)(e). Only periods that run out make a file due; what may go whenever it is
asked for is not listed. The server proposes, a person signs the proposal off, another one carries it out: rows T71 and
T73.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from fhir_server.engine.call import Call, Interaction, Principal
from fhir_server.engine.interactions import Engine
from fhir_server.engine.stored import Stored
from fhir_server.kernel.clock import Clock, instant
from fhir_server.kernel.identity import ResourceKey, random_id
from fhir_server.privacy.entries import birth, entries
from fhir_server.privacy.erasable import Erase, verdicts
from fhir_server.privacy.ports import Holdings
from fhir_server.privacy.requests import ERASE, HOLDS, PROPOSED, is_open
from fhir_server.privacy.retention import Pack
from fhir_server.search.parse import parse
from fhir_server.smart.tie_sources import TASK_SYSTEM

_AT_ONCE, _MOST_TASKS = 100, 200


@dataclass(frozen=True, slots=True)
class Due:
    """A patient, each class whose time is over with the rule that says so, and the open request, where there is one."""

    patient: ResourceKey
    over: tuple[Erase, ...]
    request: ResourceKey | None


class DueList:
    """`server` is who proposes."""

    def __init__(self, engine: Engine, holdings: Holdings, pack: Pack, clock: Clock, server: Principal) -> None:
        self._engine, self._holdings, self._pack = engine, holdings, pack
        self._clock, self._server = clock, server
        self._periods = {rule.id for rule in pack.rules if rule.years or rule.ages}

    async def walk(self) -> AsyncIterator[Due]:
        """One after the other, however many there are. A hold keeps a file off the list."""
        everyone, position = parse("Patient", (), self._engine.language), None
        while True:
            found = await self._engine.store.find(everyone, position, _AT_ONCE)
            for stored in found.matches:
                if due := await self._due(stored):
                    yield due
            position = found.position
            if position is None:
                return

    async def propose(self, due: Due) -> ResourceKey:
        """A Task that nobody has asked for yet: whoever signs it off sets it to `requested`."""
        now = self._clock.now()
        key = ResourceKey("Task", random_id())
        reasons = ", ".join(f"{one.record}: {one.because}" for one in due.over)
        resource = {
            "resourceType": "Task",
            "id": key.id,
            "status": PROPOSED,
            "intent": "proposal",
            "code": {"coding": [{"system": TASK_SYSTEM, "code": ERASE}]},
            "for": {"reference": str(due.patient)},
            "authoredOn": instant(now),
            "reasonCode": {"text": f"Kept for as long as the rules demand ({reasons})."},
        }
        call = Call(Interaction.UPDATE, self._server, now, key.type, key.id)
        await self._engine.commit(call, self._engine.drafts.of(key, resource))
        return key

    async def _due(self, patient: Stored) -> Due | None:
        now = self._clock.now()
        tasks = await self._tasks(patient.key, HOLDS)
        held = await self._holdings.of(patient.key.id)
        born = birth(patient.resource)
        decided = verdicts(entries(held, now), self._pack, [str(one.key) for one in tasks], now.date(), born)
        over = tuple(one for one in decided if isinstance(one, Erase) and one.because in self._periods)
        if not over:
            return None
        asked = await self._tasks(patient.key, f"{TASK_SYSTEM}|{ERASE}")
        return Due(patient.key, over, asked[0].key if asked else None)

    async def _tasks(self, patient: ResourceKey, codes: str) -> list[Stored]:
        query = parse("Task", (("patient", str(patient)), ("code", codes)), self._engine.language)
        found = (await self._engine.store.find(query, None, _MOST_TASKS)).matches
        return [one for one in found if is_open(one.resource)]
