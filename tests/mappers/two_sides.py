"""Two servers in memory that are kept in step by the pure part alone: what the runtime does, without its wire."""

from dataclasses import dataclass, field
from typing import Any

from mappers.fhir_sync.authority import Authority, Side, published
from mappers.fhir_sync.elements import COPY_OF
from mappers.fhir_sync.link import Link
from mappers.fhir_sync.reconcile import Changes, Ends, linked, reconcile

BASES = {Side.OURS: "https://clinic.example/fhir", Side.THEIRS: "https://ehr.example/fhir"}
Json = dict[str, Any]


@dataclass
class TwoSides:
    """One resource on each side. `habit`: what their server adds to whatever it is given."""

    authority: Authority = field(default_factory=lambda: Authority(frozenset({"ehr"}), published()))
    known: dict[str, str] = field(default_factory=dict)
    habit: Json = field(default_factory=dict)
    at: dict[Side, Json | None] = field(default_factory=lambda: dict.fromkeys(Side, None))
    link: Link | None = None
    writes: int = 0
    versions: int = 0

    def put(self, side: Side, resource: Json) -> None:
        self.versions += 1
        habit = self.habit if side is Side.THEIRS else {}
        meta = {**resource.get("meta", {}), "versionId": str(self.versions)}
        self.at[side] = {**resource, **habit, "id": f"{side.value}-1", "meta": meta}

    def round(self) -> Changes:
        ends = Ends(BASES[Side.OURS], BASES[Side.THEIRS], self.known)
        said = reconcile(self.at[Side.THEIRS], self.at[Side.OURS], self.link, ends, self.authority)
        for side, resource in ((Side.THEIRS, said.theirs), (Side.OURS, said.ours)):
            if resource is not None:
                self.put(side, resource)
                self.writes += 1
        ours, theirs = self.at[Side.OURS], self.at[Side.THEIRS]
        if ours is not None and theirs is not None:
            self.link = linked(theirs, ours, self.authority, said)
        return said

    def seen(self, side: Side) -> Json:
        """Without what each server has of its own."""
        found = dict(self.at[side] or {})
        found["identifier"] = [one for one in found.get("identifier", ()) if one.get("system") != COPY_OF]
        return {name: value for name, value in found.items() if name not in {"id", "meta", "text"} and value != []}
