"""What `:below`, `:above`, `:in` and `:not-in` of a token mean: by the CodeSystems and ValueSets that are kept here.

https://hl7.org/fhir/R4/search.html#token. They are read by the server itself, whoever asks, as the SearchParameters of
a clinic are: they name no patient, nothing of them enters the answer, and a question means the same for everybody. Were
they read by the caller's rights, `:not-in` would find more for whoever may see less. Only active ones count, as of
SearchParameters: a draft decides nothing yet, a retired one nothing any more.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from fhir_server.engine.call import Call
from fhir_server.engine.ports import ResourceStore
from fhir_server.engine.position import Position
from fhir_server.engine.stored import Stored
from fhir_server.kernel.errors import InvalidRequestError, TooCostlyError
from fhir_server.kernel.identity import ResourceKey, parse_reference
from fhir_server.search.code_systems import CodeSystem
from fhir_server.search.registry import Registry
from fhir_server.search.results import not_supported, shown
from fhir_server.search.tree import Condition, Filter, IdIn, InValueSet, Query, Subsumed, ValueIn
from fhir_server.search.types.codes import CodeSet, TokenAmong
from fhir_server.search.types.token import TokenIs
from fhir_server.search.types.uri import UriIs
from fhir_server.search.value_sets import Part, expanded, of_r4, parts

MOST_CODES = 2_000
MOST_DEFINITIONS = 32
"""CodeSystems and ValueSets that one criterion may rest on."""

_MOST_VERSIONS = 50
_OF_A_DAY = 10


class Terms:
    def __init__(self, store: ResourceStore) -> None:
        self._store = store

    async def meant(self, call: Call, registry: Registry, asked: Subsumed | InValueSet) -> Condition:
        """The codes in the place of the criterion. Read once for all the types that a search is of."""
        what = (asked.side, asked.concepts) if isinstance(asked, Subsumed) else asked.value_sets
        members = call.trace.meant.get(what)
        if not isinstance(members, CodeSet):
            members = await _Reading(self._store, registry).of(asked)
            call.trace.meant[what] = members
        negated = isinstance(asked, InValueSet) and asked.negated
        if not members.systems and not negated:
            return IdIn(frozenset())
        return ValueIn(asked.parameter, (TokenAmong(members),), negated)


@dataclass(slots=True)
class _Reading:
    """All that one criterion rests on."""

    store: ResourceStore
    registry: Registry
    read: int = 0
    systems: dict[tuple[str, str], CodeSystem] = field(default_factory=dict)

    async def of(self, asked: Subsumed | InValueSet) -> CodeSet:
        found = CodeSet()
        if isinstance(asked, Subsumed):
            for url, code in asked.concepts:
                system = await self._system(url, "")
                found = found.either(
                    CodeSet.of(url, system.below(code) if asked.side == "below" else system.above(code))
                )
        else:
            for name in asked.value_sets:
                found = found.either(await self._members(name, ()))
        if found.size > MOST_CODES:
            raise TooCostlyError(f"A search is by at most {MOST_CODES} codes; these are more.")
        return found

    async def _members(self, name: str, within: tuple[ResourceKey, ...]) -> CodeSet:
        url, _, version = name.partition("|")
        key = parse_reference(name)
        kept = await self._kept("ValueSet", url, version) if key is None else await self._one(key)
        if kept is None and (listed := of_r4(url, version)) is not None:
            return listed
        if kept is None:
            raise _missing("ValueSet", name)
        if kept.key in within:
            raise not_supported(f"The ValueSet {shown(name)} is made of itself.")
        if "compose" not in kept.resource:
            return expanded(kept.resource)
        found = CodeSet()
        include, exclude = parts(kept.resource)
        for part in include:
            found = found.either(await self._part(part, (*within, kept.key)))
        for part in exclude:
            found = found.without(await self._part(part, (*within, kept.key)))
        return found

    async def _part(self, part: Part, within: tuple[ResourceKey, ...]) -> CodeSet:
        met = [await self._members(each, within) for each in part.value_sets]
        if part.concepts is not None:
            met.append(CodeSet.of(part.system, part.concepts))
        elif part.filters or part.version:
            system = await self._system(part.system, part.version)
            met += [CodeSet.of(part.system, system.filtered(*each)) for each in part.filters]
            met += [] if part.filters else [CodeSet.of(part.system, system.codes)]
        elif part.system:
            met.append(CodeSet.whole(part.system))
        if not met:
            raise not_supported("A ValueSet includes neither a system nor a ValueSet.")
        first, *others = met
        for each in others:
            first = first.both(each)
        return first

    async def _system(self, url: str, version: str) -> CodeSystem:
        if (url, version) not in self.systems:
            kept = await self._kept("CodeSystem", url, version)
            if kept is None:
                raise _missing("CodeSystem", url)
            self.systems[url, version] = CodeSystem.of(kept.resource)
        return self.systems[url, version]

    async def _one(self, key: ResourceKey) -> Stored | None:
        """By its id; what is not active is none."""
        self._count()
        stored = await self.store.read(key)
        return stored if stored and not stored.deleted and stored.resource.get("status") == "active" else None

    async def _kept(self, type: str, url: str, version: str) -> Stored | None:
        """The active one with that URL, and that version if one is named; else the one with the latest date."""
        self._count()
        conditions = (ValueIn("url", (UriIs(url, ""),)), ValueIn("status", (TokenIs(None, ("active",)),)))
        query = Query(type, tuple(Filter(each, ("", "")) for each in conditions), registry=self.registry)
        found: list[Stored] = []
        position: Position | None = None
        while True:
            page = await self.store.find(query, position, _MOST_VERSIONS)
            found += page.matches
            position = page.position
            if len(found) > _MOST_VERSIONS:
                raise TooCostlyError(f"More than {_MOST_VERSIONS} resources of type {type} are active under one URL.")
            if position is None:
                break
        of_version = [each for each in found if not version or each.resource.get("version") == version]
        return _latest(type, url, of_version)

    def _count(self) -> None:
        self.read += 1
        if self.read > MOST_DEFINITIONS:
            raise TooCostlyError(f"A criterion rests on at most {MOST_DEFINITIONS} CodeSystems and ValueSets.")


def _latest(type: str, url: str, found: Sequence[Stored]) -> Stored | None:
    """Raises InvalidRequestError where the dates do not tell which one it is; versions have no order."""
    if len(found) < 2:  # noqa: PLR2004  the only one needs no date
        return found[0] if found else None
    first, *others = sorted(found, key=_day, reverse=True)
    if any(_day(first).startswith(_day(each)) for each in others):
        raise not_supported(
            f"Several resources of type {type} with the URL {shown(url)} are active; their dates do not tell which."
        )
    return first


def _day(stored: Stored) -> str:
    """As far as it is told; a time of day is not looked at."""
    return str(stored.resource.get("date", ""))[:_OF_A_DAY]


def _missing(type: str, name: str) -> InvalidRequestError:
    return not_supported(f"No active {type} {shown(name)} is kept on this server.")
