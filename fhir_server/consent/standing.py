"""What stands for a patient: the head row and the consents that it lists, remembered while the epoch is the same.

Architecture section 6: caches only save work. What is remembered may permit, since the epoch is looked at again before
the answer leaves; nothing is refused on it.
"""

from collections import OrderedDict
from dataclasses import dataclass, replace
from datetime import UTC, tzinfo

from fhir_server.consent.decision import decide
from fhir_server.consent.law import Law
from fhir_server.consent.question import Ask, Deny, Permit, Reason
from fhir_server.engine.ports import Head, Heads, ResourceStore
from fhir_server.kernel.json import Json

_MOST_REMEMBERED = 50_000


@dataclass(frozen=True, slots=True)
class Stand:
    head: Head
    consents: tuple[Json, ...]


class Standing:
    """`zone`: where a date without a time is meant."""

    def __init__(self, store: ResourceStore, heads: Heads, law: Law, zone: tzinfo = UTC) -> None:
        self._store, self._heads, self.law, self._zone = store, heads, law, zone
        self._remembered: OrderedDict[str, Stand] = OrderedDict()

    async def decide(self, ask: Ask, *, afresh: bool = True) -> Permit | Deny:
        """`afresh`: on nothing that was remembered from before."""
        ask = replace(ask, instant=ask.instant.astimezone(self._zone))
        known = None if afresh else self._remembered.get(ask.patient)
        if known is not None:
            decided = decide(ask, known.consents, known.head, self.law)
            if isinstance(decided, Permit):
                return decided
        stand = await self.of(ask.patient)
        return Deny(Reason.NOT_CURRENT) if stand is None else decide(ask, stand.consents, stand.head, self.law)

    def may_differ_by_resource(self, patient: str) -> bool:
        """Could a consent of theirs look at what a resource says? Without any, nothing does."""
        known = self._remembered.get(patient)
        return known is None or bool(known.consents)

    async def of(self, patient: str) -> Stand | None:
        """As the database has it now. None for somebody whom no resource names."""
        head = await self._heads.head(patient)
        if head is None:
            self._remembered.pop(patient, None)
            return None
        found = await self._store.read_many(list(head.consents)) if head.consents else {}
        stand = Stand(head, tuple(stored.resource for stored in found.values() if not stored.deleted))
        self._remembered[patient] = stand
        self._remembered.move_to_end(patient)
        if len(self._remembered) > _MOST_REMEMBERED:
            self._remembered.popitem(last=False)
        return stand
