"""What comes with the matches of a page: each once, and only what the caller may see.

https://hl7.org/fhir/R4/search.html#include; R-SMART-052: an include is held to scope and compartment like a match.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from fhir_server.engine.call import Call, Interaction
from fhir_server.engine.chains import Chains, canonical
from fhir_server.engine.lookup import Lookup
from fhir_server.engine.stored import Stored
from fhir_server.engine.visible import shown
from fhir_server.fhir.definitions import served_types
from fhir_server.kernel.errors import ForbiddenError, TooCostlyError
from fhir_server.kernel.identity import ResourceKey
from fhir_server.search.extract import values_of
from fhir_server.search.inclusions import references
from fhir_server.search.parameters import Parameter
from fhir_server.search.registry import Registry
from fhir_server.search.tree import Condition, Include, Query, ValueIn
from fhir_server.search.types.reference import ReferenceAmong, ReferenceValue
from fhir_server.search.types.uri import UriIs

_MOST_CANONICAL_TYPES = 16
_NOT_UNDER_ANY = frozenset({"AuditEvent"})
"""`*` does not bring the log: it has its own scope and is asked for by name."""


class _Asked(NamedTuple):
    """As whose search things are brought along, and by which parameters."""

    call: Call
    registry: Registry


class Includes:
    def __init__(self, lookup: Lookup, chains: Chains, base: str) -> None:
        self._lookup, self._chains, self._base = lookup, chains, base

    async def of(self, call: Call, query: Query, matches: Sequence[Stored]) -> tuple[Stored, ...]:
        """In the order in which they were come upon. Raises TooCostlyError rather than leave some out."""
        found: dict[ResourceKey, Stored] = {}
        known = {stored.key for stored in matches}
        frontier, going, asked = list(matches), list(query.includes), _Asked(call, query.registry)
        while frontier and going:
            fresh: list[Stored] = []
            for include in going:
                brought = self._backwards if include.reverse else self._forwards
                for stored in await brought(asked, include, frontier, known, self._most - len(found)):
                    if stored.key not in known:
                        known.add(stored.key)
                        found[stored.key] = stored
                        fresh.append(stored)
                if len(found) > self._most:
                    raise self._too_many()
            frontier, going = fresh, [include for include in going if include.iterate]
        return tuple(found.values())

    @property
    def _most(self) -> int:
        return self._lookup.limits.included

    def _too_many(self) -> TooCostlyError:
        return TooCostlyError(f"A page brings at most {self._most} included resources; ask for a smaller _count.")

    async def _forwards(
        self, asked: _Asked, include: Include, frontier: Sequence[Stored], known: set[ResourceKey], most: int
    ) -> list[Stored]:
        keys: dict[ResourceKey, None] = {}
        urls: dict[str, set[tuple[str, str]]] = {}
        for parameter, value in _references(asked.registry, include, frontier):
            if value.type and value.base in {"", self._base}:
                if include.target in {"", value.type} and value.type in served_types():
                    keys[ResourceKey(value.type, value.id)] = None
            elif value.url and not value.type:
                for type in _canonical_types(asked.registry, include, parameter):
                    urls.setdefault(type, set()).add((value.url, value.version))
        wanted = [key for key in keys if key not in known]
        if len(wanted) > most:
            raise self._too_many()
        read = await self._lookup.store.read_many(wanted) if wanted else {}
        seen = [one for key in wanted if key in read and (one := await self._seen(asked.call, read[key]))]
        for type, named in urls.items():
            by_url = ValueIn("url", tuple(UriIs(url, "") for url in sorted({url for url, _ in named})))
            for stored in await self._searched(asked, type, by_url, most):
                own = canonical(stored)
                if own and not named.isdisjoint({own, (own[0], "")}):
                    seen.append(stored)
        return seen

    async def _backwards(
        self, asked: _Asked, include: Include, frontier: Sequence[Stored], known: set[ResourceKey], most: int
    ) -> list[Stored]:
        seen: list[Stored] = []
        for type, parameter in _ways_back(asked.registry, include, frontier):
            targets = parameter.definition.targets & ({include.target} if include.target else served_types())
            here = [stored for stored in frontier if stored.key.type in targets]
            among = ReferenceAmong(
                frozenset(str(stored.key) for stored in here),
                frozenset(own for stored in here if (own := canonical(stored))),
                self._base,
            )
            refers = ValueIn(parameter.definition.code, (among,))
            seen += await self._searched(asked, type, refers, most + len(known))
        return seen

    async def _searched(self, asked: _Asked, type: str, condition: Condition, most: int) -> list[Stored]:
        """Nothing where the caller may not search that type: an include is an offer and no demand."""
        try:
            return await self._lookup.found(
                asked.call, type, (condition,), self._chains.resolved, most, asked.registry, self._too_many()
            )
        except ForbiddenError:
            return []

    async def _seen(self, call: Call, stored: Stored) -> Stored | None:
        if stored.deleted:
            return None
        key = stored.key
        return await shown(
            self._lookup.steps, replace(call, interaction=Interaction.SEARCH_TYPE, type=key.type, id=None), stored
        )


def _references(
    registry: Registry, include: Include, frontier: Iterable[Stored]
) -> Iterator[tuple[Parameter, ReferenceValue]]:
    """Where the includes lead to, from each resource that they start at."""
    for stored in frontier:
        if include.source not in {"", stored.key.type}:
            continue
        by_code = registry.of(stored.key.type).by_code
        own = [include.parameter] if include.parameter else None
        codes = own or [each.definition.code for each in references(stored.key.type, registry)]
        for code, values in values_of(stored.resource, codes, registry).items():
            for value in values:
                if isinstance(value, ReferenceValue):
                    yield by_code[code], value


def _canonical_types(registry: Registry, include: Include, parameter: Parameter) -> tuple[str, ...]:
    """The types that a canonical URL may name: few, or the client says which."""
    targets = {include.target} if include.target else parameter.definition.targets & served_types()
    found = tuple(type for type in sorted(targets) if "url" in registry.of(type).by_code)
    return found if len(found) <= _MOST_CANONICAL_TYPES else ()


def _ways_back(registry: Registry, include: Include, frontier: Sequence[Stored]) -> Iterator[tuple[str, Parameter]]:
    """The references, of which types, that may lead to something here."""
    here = {stored.key.type for stored in frontier}
    for type in [include.source] if include.source else sorted(served_types() - _NOT_UNDER_ANY):
        some = [registry.of(type).by_code[include.parameter]] if include.parameter else references(type, registry)
        for parameter in some:
            if here & parameter.definition.targets and include.target in {"", *here}:
                yield type, parameter
