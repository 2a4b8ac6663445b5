"""Looks up what other resources decide, innermost first, and puts their ids in its place.

https://hl7.org/fhir/R4/search.html#chaining, #has, #list
"""

from collections.abc import Sequence
from dataclasses import replace

from fhir_server.engine.call import Call
from fhir_server.engine.lookup import Lookup, too_many
from fhir_server.engine.stored import Stored
from fhir_server.engine.terms import Terms
from fhir_server.kernel.errors import ForbiddenError
from fhir_server.kernel.identity import ResourceKey, parse_reference
from fhir_server.search.address import address
from fhir_server.search.extract import values_of
from fhir_server.search.hierarchies import parents
from fhir_server.search.registry import STANDARD, parameters_of
from fhir_server.search.tree import (
    AnyOf,
    Chain,
    Condition,
    Has,
    IdIn,
    InValueSet,
    Lineage,
    Link,
    Listed,
    Query,
    Subsumed,
    ValueIn,
)
from fhir_server.search.types.reference import ReferenceAmong, ReferenceValue
from fhir_server.search.types.token import TokenIs
from fhir_server.search.types.uri import UriIs

NOTHING = IdIn(frozenset())


class Chains:
    def __init__(self, lookup: Lookup, base: str) -> None:
        self._lookup, self._base = lookup, base
        self._terms = Terms(lookup.store)

    async def resolved(self, call: Call, query: Query) -> Query:
        """The same search, without links. What was asked, as the self link shows it, stays as it was."""
        if not any(isinstance(each.condition, Link) for each in query.filters):
            return query
        filters = [replace(each, condition=await self._resolved(call, query, each.condition)) for each in query.filters]
        return replace(query, filters=tuple(filters))

    async def _resolved(self, call: Call, query: Query, condition: Condition) -> Condition:
        match condition:
            case Chain():
                return await self._chain(call, query, condition)
            case Has():
                return await self._has(call, query, condition)
            case Lineage():
                return await self._lineage(call, condition)
            case Listed():
                return await self._listed(call, query.type, condition)
            case Subsumed() | InValueSet():
                return await self._terms.meant(call, query.registry, condition)
            case _:
                return condition

    async def _chain(self, call: Call, query: Query, chain: Chain) -> Condition:
        found: list[Stored] = []
        refused: list[ForbiddenError] = []
        most = self._lookup.limits.linked
        for type, condition in chain.hops:
            try:
                found += await self._lookup.found(call, type, (condition,), self.resolved, most, query.registry)
            except ForbiddenError as error:
                refused.append(error)
        # Types that nobody named are left out where the caller may not search them; there has to be one left.
        if refused and (chain.named or len(refused) == len(chain.hops)):
            raise refused[0]
        if len(found) > most:
            raise too_many("its kinds", most)
        return self._among(chain.parameter, found)

    def _among(self, parameter: str, found: Sequence[Stored]) -> Condition:
        """The parameter refers to one of these, by id or by canonical URL."""
        keys = frozenset(str(stored.key) for stored in found)
        urls = frozenset(each for stored in found if (each := canonical(stored)))
        if not keys:
            return NOTHING
        return ValueIn(parameter, (ReferenceAmong(keys, urls, self._base),))

    async def _has(self, call: Call, query: Query, has: Has) -> Condition:
        conditions: tuple[Condition, ...] = (has.condition,)
        known = address(query).ids
        if known is not None and query.registry.of(has.type).by_code[has.parameter].types == {"Reference"}:
            # Only what refers to one of these can bring one of these into the answer.
            keys = frozenset(f"{query.type}/{id}" for id in known)
            conditions = (has.condition, ValueIn(has.parameter, (ReferenceAmong(keys, frozenset(), self._base),)))
        most = self._lookup.limits
        found = await self._lookup.found(call, has.type, conditions, self.resolved, most.candidates, query.registry)
        ids: set[str] = set()
        urls: set[tuple[str, str]] = set()
        for stored in found:
            for value in values_of(stored.resource, (has.parameter,), query.registry).get(has.parameter, ()):
                if isinstance(value, ReferenceValue):
                    if value.type == query.type and value.base in {"", self._base}:
                        ids.add(value.id)
                    elif value.url and not value.type:
                        urls.add((value.url, value.version))
        if len(ids) > most.linked:
            raise too_many(query.type, most.linked)
        return _either(IdIn(frozenset(ids)), query.type, urls)

    async def _lineage(self, call: Call, lineage: Lineage) -> Condition:
        keys: set[str] = set()
        for type in lineage.types:
            keys |= await (self._below if lineage.side == "below" else self._above)(call, ResourceKey(type, lineage.id))
        return ValueIn(lineage.parameter, (ReferenceAmong(frozenset(keys), frozenset(), self._base),))

    async def _below(self, call: Call, top: ResourceKey) -> set[str]:
        """Generation by generation; a circle ends where it began."""
        parent, most = parents()[top.type], self._lookup.limits.linked
        keys = generation = {str(top)}
        while generation:
            children = ValueIn(parent, (ReferenceAmong(frozenset(generation), frozenset(), self._base),))
            found = await self._lookup.found(call, top.type, (children,), self.resolved, most, STANDARD)
            generation = {str(stored.key) for stored in found} - keys
            keys = keys | generation
            if len(keys) > most:
                raise too_many(top.type, most)
        return keys

    async def _above(self, call: Call, bottom: ResourceKey) -> set[str]:
        parent, most = parents()[bottom.type], self._lookup.limits.linked
        keys, key = {str(bottom)}, bottom
        while (stored := await self._lookup.one(call, key)) is not None:
            values = values_of(stored.resource, (parent,)).get(parent, ())
            named = [value for value in values if isinstance(value, ReferenceValue) and value.base in {"", self._base}]
            if not named or f"{bottom.type}/{named[0].id}" in keys:
                break
            key = ResourceKey(bottom.type, named[0].id)
            keys.add(str(key))
            if len(keys) > most:
                raise too_many(bottom.type, most)
        return keys

    async def _listed(self, call: Call, type: str, listed: Listed) -> Condition:
        """What is on a List that the caller may read; an entry marked as deleted is not."""
        ids: set[str] = set()
        for id in listed.lists:
            stored = await self._lookup.one(call, ResourceKey("List", id))
            for entry in stored.resource.get("entry", []) if stored else []:
                text = entry.get("item", {}).get("reference", "")
                key = parse_reference(text.removeprefix(f"{self._base}/")) if self._base else parse_reference(text)
                if key and key.type == type and entry.get("deleted") is not True:
                    ids.add(key.id)
        return IdIn(frozenset(ids))


def canonical(stored: Stored) -> tuple[str, str] | None:
    """URL and version of what is referred to so; a patient has none."""
    url, version = stored.resource.get("url"), stored.resource.get("version")
    return (url, version if isinstance(version, str) else "") if isinstance(url, str) else None


def _either(ids: IdIn, type: str, urls: set[tuple[str, str]]) -> Condition:
    """What is referred to by id, or by the canonical URL and version that it says of itself."""
    if not urls or "url" not in parameters_of(type).by_code:
        return ids
    by_url: list[tuple[Condition, ...]] = []
    for url, version in sorted(urls):
        named = ValueIn("url", (UriIs(url, ""),))
        by_url.append((named, ValueIn("version", (TokenIs(None, (version.casefold(),)),))) if version else (named,))
    return AnyOf(((ids,), *by_url))
