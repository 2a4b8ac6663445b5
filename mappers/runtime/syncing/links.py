"""Which resource of theirs is which of ours: a Basic for each pair, in the patient's file, with what was lost."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mappers.fhir_sync.link import Link, read
from mappers.mapping.identifiers import OURS, criteria, identifier
from mappers.mapping.json_text import Json
from mappers.mapping.loss_report import loss_report
from mappers.mapping.result import Loss
from mappers.runtime.records import KINDS, Records
from mappers.runtime.remote import Remote
from mappers.runtime.server import Server

LINK = f"{OURS}:link"
LINKED = f"{OURS}:linked"
_LOSSES = f"{OURS}:losses"
_MOST = 500


@dataclass(frozen=True, slots=True)
class Links:
    server: Server
    here: Remote
    records: Records

    async def of_ours(self, references: Iterable[str]) -> dict[str, Link]:
        asked = list(dict.fromkeys(references))
        found = await self.server.read([f"Basic/{self._id(one)}" for one in asked])
        return {one: _link(basic) for one, basic in zip(asked, found, strict=True) if basic is not None}

    async def of_theirs(self, references: Iterable[str]) -> dict[str, Link]:
        asked = list(dict.fromkeys(references))
        found = await self.server.read([f"Basic?{criteria(LINKED, self._name(one))}" for one in asked])
        entries = {one: (bundle or {}).get("entry", ()) for one, bundle in zip(asked, found, strict=True)}
        return {one: _link(listed[0]["resource"]) for one, listed in entries.items() if listed}

    async def of_patient(self, patient: str, type: str) -> list[Link]:
        query = f"Basic?subject={patient}&code={KINDS}%7Clink&_count={_MOST}"
        found = [_link(one) for one in await self.server.search(query) if _is_of(one, self.records.source)]
        return [one for one in found if one.ours.startswith(f"{type}/")]

    async def keep(self, link: Link, patient: str | None, losses: Sequence[Loss]) -> None:
        basic: Json = {
            "resourceType": "Basic",
            "id": self._id(link.ours),
            "contained": [{**loss_report(losses), "id": "losses"}],
            "extension": [
                {"url": LINK, "valueString": link.written()},
                {"url": _LOSSES, "valueReference": {"reference": "#losses"}},
            ],
            "identifier": [identifier(LINKED, self._name(link.theirs))],
            "code": {"coding": [{"system": KINDS, "code": "link"}]},
        }
        if patient is not None:
            basic["subject"] = {"reference": patient}
        await self.here.transact([{"resource": basic, "request": {"method": "PUT", "url": f"Basic/{basic['id']}"}}])

    async def forget(self, link: Link) -> None:
        """The two may become one again."""
        await self.here.transact([{"request": {"method": "DELETE", "url": f"Basic/{self._id(link.ours)}"}}])

    def _id(self, ours: str) -> str:
        return self.records.id("link", self.records.source, ours)

    def _name(self, theirs: str) -> str:
        return f"{self.records.source} {theirs}"


def _link(basic: Json) -> Link:
    [text] = [one["valueString"] for one in basic["extension"] if one["url"] == LINK]
    return read(text)


def _is_of(basic: Json, source: str) -> bool:
    return any(one.get("value", "").startswith(f"{source} ") for one in basic.get("identifier", ()))
