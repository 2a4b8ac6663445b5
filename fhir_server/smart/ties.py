"""What ties a caller to a patient at this instant: looked up in the record, each time anew.

Row T74, M11; docs/adr: a tie counts only if somebody else than the person whom it ties wrote it. What was found is
remembered as a hint where to look first and nothing more: the resource is read again for every call, so that a tie that
was cancelled ties nobody, in no process, from then on.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from fhir_server.engine.call import Call
from fhir_server.engine.ports import ResourceStore
from fhir_server.engine.stored import Stored
from fhir_server.engine.window import Window
from fhir_server.kernel.clock import microseconds
from fhir_server.kernel.errors import TooCostlyError
from fhir_server.kernel.identity import ResourceKey
from fhir_server.search.language import Language
from fhir_server.search.parse import parse
from fhir_server.search.tree import Query
from fhir_server.search.types.moment import Stretch
from fhir_server.smart.authorship import SERVER
from fhir_server.smart.place import Place
from fhir_server.smart.rights import Rights, rights_of
from fhir_server.smart.roles import Tie
from fhir_server.smart.tie_sources import BROKEN_GLASS, SOURCES, TASK_SYSTEM, Pair, Source, holds, span

_MOST_HINTS = 20_000
_MOST_LISTED = 100
"""Whom a query can name; an index does not take many more."""

_MOST_KNOWN = 300
"""Patients that one request may concern."""

_AT_ONCE = 50
_MOST_OF_PERSON = 2_000
_MOST_LOOKED_AT = 500
_MOST_VERSIONS = 50


@dataclass(frozen=True, slots=True)
class TiePolicy:
    """`margin`: how long before and after its dates an Encounter or Appointment ties. `self_made`: one's own counts."""

    margin: timedelta = timedelta(days=90)
    self_made: bool = False


class RecordedTies:
    """`base` is the server's own address."""

    def __init__(self, store: ResourceStore, policy: TiePolicy, base: str, most_hints: int = _MOST_HINTS) -> None:
        self._store, self._policy, self._base, self._most_hints = store, policy, base, most_hints
        self._hints: OrderedDict[tuple[ResourceKey, str], ResourceKey] = OrderedDict()

    async def know(self, call: Call, rights: Rights, patients: Iterable[str], seen: Stored | None = None) -> None:
        """Put into the call's trace what ties the caller to each of these. `seen`: what may itself be a tie."""
        known = call.trace.ties
        unknown = [patient for patient in patients if patient not in known]
        if not unknown:
            return
        if len(known) + len(unknown) > _MOST_KNOWN:
            raise TooCostlyError("The answer concerns too many patients; name one.")
        for patient in unknown:
            self._remember(call, rights, patient, await self._found(call, rights, patient, seen))

    async def patients(self, call: Call, rights: Rights) -> tuple[str, ...] | None:
        """All to whom the caller is tied now; None where they are too many to be listed."""
        if not call.trace.listed:
            call.trace.listed, call.trace.tied = True, await self._listed(call, rights)
        return call.trace.tied

    async def broken(self, call: Call, patient: str) -> str | None:
        """The Task by which the caller broke the glass before this patient, tied or not; looked up once for a call."""
        known = call.trace.broken
        if patient not in known:
            rights = rights_of(call.principal)
            found = None
            if rights.person is not None and rights.role is not None and rights.role.breaks_glass:
                pair = Pair(rights.person, patient, self._base)
                found = await self._of_source(call, BROKEN_GLASS, pair)
            known[patient] = str(found.key) if found else None
        return known[patient]

    async def _listed(self, call: Call, rights: Rights) -> tuple[str, ...] | None:
        if rights.person is None or rights.role is None or rights.role.tie is None:
            return ()
        tied: dict[str, None] = {}
        for source in SOURCES[rights.role.tie]:
            query, position, looked = _of_person(source, rights.person, self._base, self._days(call)), None, 0
            while True:
                page = await self._store.find(query, position, _AT_ONCE)
                for stored in page.matches:
                    for patient in Place.of_stored(stored).patients:
                        pair = Pair(rights.person, patient, self._base)
                        if patient not in tied and await self._any(call, (source,), pair, [stored]):
                            tied[patient] = None
                            self._remember(call, rights, patient, stored)
                looked += page.looked
                position = page.position
                if len(tied) > _MOST_LISTED or looked > _MOST_OF_PERSON:
                    return None
                if position is None:
                    break
        return tuple(sorted(tied))

    def _remember(self, call: Call, rights: Rights, patient: str, tie: Stored | None) -> None:
        call.trace.ties[patient] = str(tie.key) if tie else None
        if tie and tie.key.type == "Task" and rights.role and rights.role.tie is Tie.TREATMENT:
            call.trace.glass[patient] = call.trace.broken[patient] = str(tie.key)

    def _days(self, call: Call) -> tuple[str, str]:
        """The days between which something has to lie that ties today."""
        margin = self._policy.margin
        return (call.instant - margin).date().isoformat(), (call.instant + margin).date().isoformat()

    async def _found(self, call: Call, rights: Rights, patient: str, seen: Stored | None) -> Stored | None:
        if rights.person is None or rights.role is None or rights.role.tie is None:
            return None
        pair = Pair(rights.person, patient, self._base)
        sources = SOURCES[rights.role.tie]
        # A broken glass is looked for each time, after everything else: what one may see anyhow was not seen by it.
        lasting = tuple(source for source in sources if not source.by_server)
        if seen is not None and await self._any(call, lasting, pair, [seen]):
            return seen
        hint = self._hints.get((pair.person, patient))
        if hint is not None:
            read = await self._store.read(hint)
            if read is not None and await self._any(call, lasting, pair, [read]):
                return read
        found = await self._looked_up(call, sources, pair)
        if found is not None and await self._any(call, lasting, pair, [found]):
            self._hints[pair.person, patient] = found.key
            if len(self._hints) > self._most_hints:
                self._hints.popitem(last=False)
        return found

    async def _looked_up(self, call: Call, sources: tuple[Source, ...], pair: Pair) -> Stored | None:
        """The sources together; the first of them that has one counts, so that a broken glass counts last."""
        found = await asyncio.gather(*(self._of_source(call, source, pair) for source in sources))
        return next((one for one in found if one), None)

    async def _of_source(self, call: Call, source: Source, pair: Pair) -> Stored | None:
        """Newest first, page by page."""
        query, position, looked = _of_pair(source, pair), None, 0
        while looked < _MOST_LOOKED_AT:
            page = await self._store.find(query, position, _AT_ONCE)
            if found := await self._any(call, (source,), pair, page.matches):
                return found
            looked += page.looked
            position = page.position
            if position is None:
                break
        return None

    async def _any(self, call: Call, sources: tuple[Source, ...], pair: Pair, among: Iterable[Stored]) -> Stored | None:
        now = microseconds(call.instant)
        for stored in among:
            for source in sources:
                if stored.key.type != source.type or stored.deleted or not holds(source, stored.resource):
                    continue
                tied = await self._vouched(call, source, pair, stored)
                margin = 0 if source.standing else self._policy.margin // timedelta(microseconds=1)
                if tied is not None and tied.low - margin <= now < tied.high + margin:
                    return stored
        return None

    async def _vouched(self, call: Call, source: Source, pair: Pair, stored: Stored) -> Stretch | None:
        """From when until when, as somebody else has it: what the person wrote on top of it adds nothing."""
        if source.type == "RelatedPerson" and stored.key != pair.person:
            return None
        if source.by_server:
            first = stored if stored.version == 1 else await self._store.read_version(stored.key, 1)
            return self._span(call, source, pair, first) if first is not None and first.author == SERVER else None
        if self._policy.self_made or self._by_another(stored, pair):
            return self._span(call, source, pair, stored)
        versions = await self._store.versions({stored.key.type}, stored.key.id, Window(), None, _MOST_VERSIONS)
        for version in versions:
            held = not version.deleted and holds(source, version.resource)
            tied = self._span(call, source, pair, version) if held else None
            if tied is None or self._by_another(version, pair):
                return tied
        return None

    def _by_another(self, stored: Stored, pair: Pair) -> bool:
        """What nobody is known to have written, somebody else did not write."""
        return stored.author not in {"", str(pair.person)}

    def _span(self, call: Call, source: Source, pair: Pair, stored: Stored) -> Stretch | None:
        return span(source, stored.resource, pair, stored.last_updated, call.instant)


def _of_person(source: Source, person: ResourceKey, base: str, days: tuple[str, str]) -> Query:
    asked = _asked(source, person)
    if not source.standing:
        asked += [("date", f"ge{days[0]}"), ("date", f"le{days[1]}")]
    return parse(source.type, asked, Language(base))


def _of_pair(source: Source, pair: Pair) -> Query:
    asked = [(source.patient, f"Patient/{pair.patient}"), *_asked(source, pair.person), ("_sort", "-_lastUpdated")]
    return parse(source.type, asked, Language(pair.base))


def _asked(source: Source, person: ResourceKey) -> list[tuple[str, str]]:
    named = (source.person, person.id if source.person == "_id" else str(person))
    return [named, ("code", f"{TASK_SYSTEM}|{source.code}")] if source.code else [named]
