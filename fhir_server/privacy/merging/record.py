"""The Provenance of a merge or of its undoing: which versions it wrote, from whose record, on whose word.

https://hl7.org/fhir/R4/provenance.html. What is undone is what this names; so it counts only as the server wrote it.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from fhir_server.engine.call import Principal
from fhir_server.engine.change import Condition
from fhir_server.engine.interactions import Engine
from fhir_server.engine.stored import Stored
from fhir_server.kernel.identity import ResourceKey, parse_reference
from fhir_server.kernel.json import Json
from fhir_server.privacy.merging.conflicts import REPLACED_BY, REPLACES, linked
from fhir_server.privacy.withdrawal_record import agent, told
from fhir_server.search.parse import parse
from fhir_server.smart.authorship import SERVER

MERGE = "urn:aesthetic-fhir-server:merge"
"""The system of the activity."""

MERGED, UNMERGED = "merged", "unmerged"
_MOST = 200


@dataclass(frozen=True, slots=True)
class Pair:
    """The ids of the record that is given up and of the one that stays."""

    source: str
    target: str

    @property
    def keys(self) -> tuple[ResourceKey, ResourceKey]:
        return ResourceKey("Patient", self.source), ResourceKey("Patient", self.target)


def provenance(code: str, pair: Pair, wrote: Iterable[str], undoes: Sequence[Stored], by: Principal, now: str) -> Json:
    """`wrote`: references of the versions that the commit makes. `undoes`: the merges that it takes back."""
    source = {"role": "source", "what": {"reference": f"Patient/{pair.source}"}}
    taken_back = [{"role": "removal", "what": {"reference": str(one.key)}} for one in undoes]
    return {
        "resourceType": "Provenance",
        "target": [{"reference": f"Patient/{pair.target}"}, *({"reference": one} for one in wrote)],
        "recorded": now,
        "activity": {"coding": [{"system": MERGE, "code": code}]},
        "agent": [agent("enterer", told(by))],
        "entity": [source, *taken_back],
    }


def is_record(stored: Stored) -> bool:
    """One of these, as the server wrote it: it stays as it is when a patient in it is merged again."""
    return bool(_code(stored)) and stored.author == SERVER


def written(record: Stored) -> Iterator[tuple[ResourceKey, int]]:
    """The versions that it wrote."""
    for one in record.resource["target"]:
        reference, _, version = one["reference"].partition("/_history/")
        if version and (key := parse_reference(reference)):
            yield key, int(version)


class Merges:
    """The merges that stand: done, and not undone."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def of(self, pair: Pair) -> Sequence[Stored]:
        """Oldest first. A merge has several records where something came late."""
        found, _ = await self.seen(pair)
        return found

    async def seen(self, pair: Pair) -> tuple[Sequence[Stored], Condition]:
        """The same; and that there is no further record, such as that of an undoing, at the instant of the commit."""
        pairs = (("target", f"Patient/{pair.target}"), ("entity", f"Patient/{pair.source}"))
        query = parse("Provenance", pairs, self._engine.language)
        matches = (await self._engine.store.find(query, None, _MOST)).matches
        found = [one for one in matches if is_record(one)]
        undone = {key for one in found if _code(one) == UNMERGED for key in _undoes(one)}
        stand = sorted(
            (one for one in found if _code(one) == MERGED and one.key not in undone), key=lambda one: one.seq
        )
        return stand, Condition(query, frozenset(one.key for one in matches))

    async def gathered(self, patient: Stored) -> Sequence[str]:
        """The ids of all whose records became this one, and of those that had become theirs."""
        found: list[str] = []
        left = [patient]
        while left:
            one = left.pop()
            for key in sorted(linked(one.resource, REPLACES)):
                source = await self._engine.store.read(key)
                if source is None or source.deleted or key.id in found or key == patient.key:
                    continue
                if await self.of(Pair(key.id, one.key.id)):
                    found.append(key.id)
                    left.append(source)
        return found

    async def into(self, patient: Stored) -> ResourceKey | None:
        """The record that this one became part of."""
        for key in sorted(linked(patient.resource, REPLACED_BY)):
            if await self.of(Pair(patient.key.id, key.id)):
                return key
        return None


def _undoes(record: Stored) -> Iterator[ResourceKey]:
    for one in record.resource["entity"]:
        if one["role"] == "removal" and (key := parse_reference(one["what"]["reference"])):
            yield key


def _code(stored: Stored) -> str:
    if stored.key.type != "Provenance":
        return ""
    codings = stored.resource.get("activity", {}).get("coding", [])
    return next((str(one.get("code")) for one in codings if one.get("system") == MERGE), "")
