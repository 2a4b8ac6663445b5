"""What stands for a patient: the head row and the consents that it lists, remembered while the epoch is the same.

Architecture section 6: caches only save work. What is remembered may permit, since the epoch is looked at again before
the answer leaves; nothing is refused on it.
"""

from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, tzinfo

from fhir_server.consent.decision import decide_use
from fhir_server.consent.law import Law
from fhir_server.consent.question import Ask, Deny, Permit, Reason
from fhir_server.engine.call import Trace
from fhir_server.engine.ports import Head, Heads, ResourceStore
from fhir_server.kernel.json import Json

MOST_REMEMBERED = 50_000


@dataclass(frozen=True, slots=True)
class Stand:
    head: Head
    consents: tuple[Json, ...]


class Standing:
    """`zone`: where a date without a time is meant."""

    def __init__(
        self, store: ResourceStore, heads: Heads, law: Law, zone: tzinfo = UTC, most: int = MOST_REMEMBERED
    ) -> None:
        self._store, self._heads, self.law, self.zone, self._most = store, heads, law, zone, most
        self._remembered: OrderedDict[str, Stand] = OrderedDict()

    async def decide(self, ask: Ask, trace: Trace | None = None) -> Permit | Deny:
        """Looked up once for a call, as its trace knows; without one, now."""
        if ask.instant.tzinfo is not self.zone:
            ask = replace(ask, instant=ask.instant.astimezone(self.zone))
        trace = trace or Trace()
        stand = trace.stands.get(ask.patient)
        if stand is None and trace.remembering and (known := self._remembered.get(ask.patient)) is not None:
            decided = self._decided(ask, known)
            if isinstance(decided, Permit):
                return decided
        if stand is None:
            stand = trace.stands[ask.patient] = await self.of(ask.patient) or Deny(Reason.NOT_CURRENT)
        return self._decided(ask, stand) if isinstance(stand, Stand) else Deny(Reason.NOT_CURRENT)

    def _decided(self, ask: Ask, stand: Stand) -> Permit | Deny:
        return decide_use(ask, stand.consents, stand.head, self.law)

    def has_consents(self, patient: str, trace: Trace) -> bool:
        """Could a consent of theirs look at what a resource says?"""
        stand = trace.stands.get(patient)
        known = stand if isinstance(stand, Stand) else self._remembered.get(patient) if trace.remembering else None
        return known is None or bool(known.consents)

    async def foresee(self, patients: Collection[str], trace: Trace, *, likely: bool) -> None:
        """Look up at once what deciding on all of them needs. `likely` to permit: then what is remembered will do."""
        trusted = self._remembered if likely and trace.remembering else {}
        wanted = [one for one in dict.fromkeys(patients) if one not in trace.stands and one not in trusted]
        if wanted:
            stands = await self._look(wanted)
            trace.stands.update({patient: stands.get(patient) or Deny(Reason.NOT_CURRENT) for patient in wanted})

    async def of(self, patient: str) -> Stand | None:
        """As the database has it now. None for somebody whom no resource names."""
        return (await self._look([patient])).get(patient)

    async def _look(self, patients: Sequence[str]) -> Mapping[str, Stand]:
        heads = await self._heads.heads(patients)
        listed = [consent for head in heads.values() for consent in head.consents]
        found = await self._store.read_many(listed) if listed else {}
        stands: dict[str, Stand] = {}
        for patient in patients:
            self._remembered.pop(patient, None)
            if head := heads.get(patient):
                consents = [found[key] for key in head.consents if key in found]
                stand = Stand(head, tuple(stored.resource for stored in consents if not stored.deleted))
                stands[patient] = self._remembered[patient] = stand
        while len(self._remembered) > self._most:
            self._remembered.popitem(last=False)
        return stands
