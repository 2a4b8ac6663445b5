"""What the criteria of a conditional interaction match, among what the caller may see.

https://hl7.org/fhir/R4/http.html#ccreate; R-SMART-049: a condition is a search and needs the right to search.
"""

from dataclasses import dataclass, replace

from fhir_server.engine.call import Call, Interaction
from fhir_server.engine.change import Condition
from fhir_server.engine.interactions import Engine
from fhir_server.engine.stored import Stored
from fhir_server.engine.visible import visible_among
from fhir_server.kernel.errors import InvalidRequestError, MultipleMatchesError, TooCostlyError
from fhir_server.kernel.identity import ResourceKey
from fhir_server.search.tree import Query

_MOST_MATCHES = 200
_MOST_CANDIDATES = 2000


@dataclass(frozen=True, slots=True)
class Matched:
    """The query as narrowed for the caller, and what of its matches the caller may see.

    `keys`: all that match, also what has no legal basis to be shown: at its commit the store knows of no basis.
    """

    query: Query
    found: tuple[Stored, ...]
    keys: frozenset[ResourceKey]

    @property
    def condition(self) -> Condition:
        """Holds as long as exactly these match."""
        return Condition(self.query, self.keys)

    @property
    def only(self) -> Stored | None:
        """The single match, None where nothing matches; 412 for several."""
        if len(self.found) > 1:
            raise MultipleMatchesError("The criteria match more than one resource.")
        return self.found[0] if self.found else None


async def matching(engine: Engine, call: Call, query: Query) -> Matched:
    """Raises InvalidRequestError for criteria that select nothing: they would match everything."""
    if not query.filters:
        raise InvalidRequestError("A condition needs at least one search parameter.")
    search = replace(call, interaction=Interaction.SEARCH_TYPE, id=None)
    narrowed = replace(await engine.searching.narrowed(search, query), count=_MOST_MATCHES)
    found = await _all(engine, narrowed)
    seen = await visible_among(engine.steps, search, narrowed, found)
    return Matched(narrowed, tuple(seen), frozenset(stored.key for stored in found))


async def _all(engine: Engine, query: Query) -> list[Stored]:
    """Every match; 412 for more than any condition allows."""
    found: list[Stored] = []
    looked, position = 0, None
    while len(found) <= _MOST_MATCHES:
        page = await engine.store.find(query, position, _MOST_MATCHES + 1 - len(found))
        found += page.matches
        looked += page.looked
        position = page.position
        if position is None:
            return found
        if looked > _MOST_CANDIDATES:
            raise TooCostlyError("Too many resources must be opened to decide the condition; narrow the criteria.")
    raise MultipleMatchesError("The criteria match more than one resource.")
