"""Step: photographs are for staff whose training in handling them is in force, where the clinic wants that enforced.

Rows S65, T77; GDPR Art. 32(4). What is on record is looked at anew after a minute; without a look nobody is let in.
"""

from datetime import datetime, timedelta

from fhir_server.engine.call import Call
from fhir_server.engine.pipeline import Step
from fhir_server.engine.ports import ResourceStore
from fhir_server.engine.stored import Stored
from fhir_server.kernel.errors import ForbiddenError
from fhir_server.privacy.register.entries import SYSTEM, TRAINING, entry_of
from fhir_server.search.parse import parse

TOPIC = "photo-handling"
_PHOTOGRAPHS = frozenset({"Media", "Binary"})
_STAFF = frozenset({"practitioner", "nurse", "clinical-lead", "marketing"})
_FRESH = timedelta(seconds=60)
_AT_ONCE = 200


class Trained(Step):
    def __init__(self, store: ResourceStore) -> None:
        self._store = store
        self._looked: datetime | None = None
        self._until: dict[str, str] = {}

    async def admit(self, call: Call) -> None:
        if call.type in _PHOTOGRAPHS and not await self._may(call):
            raise ForbiddenError("Your training in handling photographs is not on record, or ran out.")

    async def disclose(self, call: Call, stored: Stored) -> Stored | None:
        """Whatever brings a photograph along, as an include."""
        return stored if stored.key.type not in _PHOTOGRAPHS or await self._may(call) else None

    async def _may(self, call: Call) -> bool:
        if call.principal.role not in _STAFF:
            return True
        if self._looked is None or call.instant - self._looked > _FRESH:
            await self._look(call.instant)
        return self._until.get(call.principal.fhir_user or "", "") >= call.instant.date().isoformat()

    async def _look(self, now: datetime) -> None:
        """A date without its day is over when its month or year begins: as text it is the smaller."""
        until: dict[str, str] = {}
        query, after = parse("Basic", [("code", f"{SYSTEM}|{TRAINING}")]), None
        while True:
            found = await self._store.find(query, after, _AT_ONCE)
            for stored in found.matches:
                entry = entry_of(stored.key.id, stored.resource)
                if entry.one("topic") == TOPIC:
                    until[entry.one("person")] = max(until.get(entry.one("person"), ""), entry.one("expires"))
            after = found.position
            if after is None:
                break
        self._looked, self._until = now, until
