"""Both sides beside how they were: element by element, what moves where."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from mappers.fhir_sync.arriving import arriving
from mappers.fhir_sync.authority import Side
from mappers.fhir_sync.crossing import Crossing
from mappers.fhir_sync.elements import digest
from mappers.mapping.json_text import Json
from mappers.mapping.result import Loss

OVERRULED = "It was changed on the side whose it is not: the owner's word stands."
NEVER_SAID = "The side whose it is never said it: it stays where it is."


@dataclass(slots=True)
class Look:
    """`given`: elements of each side. `base`: digests of when both were last the same; None where they never were."""

    both: Mapping[Side, Json]
    given: Mapping[Side, Mapping[str, Json]]
    base: Mapping[Side, Mapping[str, str]] | None
    crossings: Mapping[Side, Crossing]
    moved: dict[Side, dict[str, Json | None]] = field(default_factory=lambda: {side: {} for side in Side})
    losses: list[Loss] = field(default_factory=list)

    @property
    def remembered(self) -> set[str]:
        """Also what neither side has any more."""
        return {name for known in (self.base or {}).values() for name in known if "#" not in name}

    def is_still(self, name: str) -> bool:
        return self.base is not None and not any(self._is_changed(name, side) for side in Side)

    def follow(self, name: str, owner: Side) -> None:
        """The owner's element on the other side too."""
        theirs = self.given[owner.other].get(name)
        said = self.given[owner].get(name)
        if said is None:
            self._follow_nothing(name, owner)
            return
        losses: list[Loss] = []
        mine = arriving(self.both[owner], name, said, owner, self.crossings[owner], losses)
        if mine is None or mine == theirs:
            return
        self.losses += losses
        if theirs is not None and (self.base is None or self._is_changed(name, owner.other)):
            self._lost(name, OVERRULED)
        self.moved[owner.other][name] = mine

    def join(self, name: str) -> None:
        """Each side gets what it has not, but for what it had and took away."""
        for source in Side:
            element = self.given[source].get(name)
            added = self._added(name, source, element) if element else []
            if added:
                there = self.given[source.other].get(name, {}).get(name, [])
                self.moved[source.other][name] = {name: [*there, *added]}

    def _added(self, name: str, source: Side, element: Json) -> list[Json]:
        losses: list[Loss] = []
        over = arriving(self.both[source], name, element, source, self.crossings[source], losses) or {}
        there = {_key(one) for one in self.given[source.other].get(name, {}).get(name, ())}
        known = self.base[source.other] if self.base else {}
        found: list[Json] = over.get(name, [])
        added = [one for one in found if _key(one) not in there and f"{name}#{digest(one)}" not in known]
        self.losses += losses if added else []
        return added

    def _follow_nothing(self, name: str, owner: Side) -> None:
        if self.base is not None and name in self.base[owner]:
            if self._is_changed(name, owner.other):
                self._lost(name, OVERRULED)
            if name in self.given[owner.other]:
                self.moved[owner.other][name] = None
        elif name in self.given[owner.other]:
            self._lost(name, NEVER_SAID)

    def _is_changed(self, name: str, side: Side) -> bool:
        found = self.given[side].get(name)
        return (None if found is None else digest(found)) != (self.base or {})[side].get(name)

    def _lost(self, name: str, why: str) -> None:
        self.losses.append(Loss(f"{self.both[Side.OURS]['resourceType']}.{name}", why))


def _key(item: Json) -> str:
    return digest([item.get("system"), item.get("value", item.get("code"))])
