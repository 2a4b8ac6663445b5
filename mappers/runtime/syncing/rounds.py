"""A round: what changed on either side since the last one, type by type, each looked at on both.

How far a list was read is written when all of it was settled or put aside: a stop in between loses nothing. What waited
is tried first. A poison resource stops nobody; a server that cannot answer stops the round.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from mappers.fhir_sync.authority import Side
from mappers.mapping.faults import UnusableError
from mappers.runtime.delivery import Outcome
from mappers.runtime.faults import RejectedError
from mappers.runtime.histories import Changed, changed
from mappers.runtime.records import READ_UNTIL
from mappers.runtime.syncing.pairs import WAITS, Pairs, WaitingError
from mappers.runtime.syncing.putting_aside import PuttingAside

_MOST_PHOTOS = 500


@dataclass(frozen=True, slots=True)
class Rounds:
    pairs: Pairs
    aside: PuttingAside
    beginning: str
    _seen: dict[str, frozenset[Changed]] = field(default_factory=dict, init=False, repr=False)

    async def poll(self) -> Counter[Outcome]:
        found = await self.again(only_waiting=True)
        for type in self.pairs.authority.types:
            for side in (Side.THEIRS, Side.OURS):
                found += await self._of(type, side)
        return found

    async def again(self, *, only_waiting: bool = False) -> Counter[Outcome]:
        """What was put aside."""
        found: Counter[Outcome] = Counter()
        for one in await self.aside.open():
            if only_waiting and not one.waits:
                continue
            outcome, _ = await self._tried(one.side, Changed(one.reference, ""))
            if outcome not in {Outcome.DEAD, Outcome.WAITING}:
                await self.aside.end(one)
            found[outcome] += 1
        return found

    async def _of(self, type: str, side: Side) -> Counter[Outcome]:
        listed = f"{side.value}/{type}"
        history = await changed(self.pairs.sides[side], type, await self._cursor(listed))
        found: Counter[Outcome] = Counter()
        # Looks overlap: a version that the last one settled is not looked at again.
        before = self._seen.get(listed, frozenset())
        looked_at = [one for one in history.changed if not one.version or one not in before]
        if type == "Consent" and side is Side.OURS:
            looked_at += await self._photos_of(looked_at)
        for one in looked_at:
            found[await self._taken(side, one)] += 1
        cursor = self.aside.records.cursor(listed, history.until)
        await self.aside.server.write([cursor])
        self._seen[listed] = frozenset(history.changed)
        return found

    async def _taken(self, side: Side, one: Changed) -> Outcome:
        outcome, why = await self._tried(side, one)
        if outcome in {Outcome.DEAD, Outcome.WAITING}:
            await self.aside.put(side, one.reference, one.version, why, outcome)
        return outcome

    async def _tried(self, side: Side, one: Changed) -> tuple[Outcome, str]:
        try:
            return await self.pairs.settle(side, one), ""
        except WaitingError:
            return Outcome.WAITING, WAITS
        except (UnusableError, RejectedError) as error:
            return Outcome.DEAD, str(error)

    async def _photos_of(self, consents: Sequence[Changed]) -> list[Changed]:
        """Of the patients whose consents changed: those that went, and those that may go now."""
        here = self.pairs.sides[Side.OURS]
        read = [await here.read(one.reference) for one in consents]
        patients = {str((one or {}).get("patient", {}).get("reference", "")) for one in read}
        found: dict[str, None] = {}
        for patient in sorted(patients - {""}):
            for link in await self.pairs.links.of_patient(patient, "Media"):
                found.setdefault(link.ours)
            for media in await here.search(f"Media?patient={patient}&_elements=id&_count={_MOST_PHOTOS}"):
                found.setdefault(f"Media/{media['id']}")
        return [Changed(one, "") for one in found]

    async def _cursor(self, listed: str) -> str:
        id = self.aside.records.id("cursor", self.aside.records.source, listed)
        [found] = await self.aside.server.read([f"Basic/{id}"])
        texts = [one["valueString"] for one in (found or {}).get("extension", ()) if one["url"] == READ_UNTIL]
        return str(texts[0]) if texts else self.beginning
