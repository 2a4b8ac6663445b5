"""What the criteria of a conditional interaction match, among what the caller may see.

https://hl7.org/fhir/R4/http.html#ccreate; R-SMART-049: a condition is a search and needs the right to search.
"""

from dataclasses import dataclass, replace

from fhir_server.engine.call import Call, Interaction
from fhir_server.engine.change import Condition
from fhir_server.engine.interactions import Engine
from fhir_server.engine.stored import Stored
from fhir_server.kernel.errors import InvalidRequestError, MultipleMatchesError
from fhir_server.search.tree import Query

_MOST_MATCHES = 200


@dataclass(frozen=True, slots=True)
class Matched:
    """The query as narrowed for the caller, and what it matched."""

    query: Query
    found: tuple[Stored, ...]

    @property
    def condition(self) -> Condition:
        """Holds as long as exactly these match."""
        return Condition(self.query, frozenset(stored.key for stored in self.found))

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
    await engine.steps.admit(search)
    narrowed = replace(await engine.steps.narrow(search, query), count=_MOST_MATCHES)
    page = await engine.page(search, narrowed, None, _MOST_MATCHES)
    if page.next:
        raise MultipleMatchesError("The criteria match more than one resource.")
    return Matched(narrowed, page.matches)
