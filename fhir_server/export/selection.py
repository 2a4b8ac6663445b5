"""Which resources of a type an export holds: the search that finds them, and whether a version belongs to it.

https://hl7.org/fhir/uv/bulkdata/STU2/export.html#_typefilter-query-parameter; R-BULK-011, -013, -015, -016.
"""

from collections.abc import Sequence
from dataclasses import replace
from urllib.parse import parse_qsl

from fhir_server.engine.call import Call, Interaction
from fhir_server.engine.interactions import Engine
from fhir_server.engine.stored import Stored
from fhir_server.engine.visible import candidate, visible_among
from fhir_server.export.job import Job
from fhir_server.kernel.errors import InvalidRequestError
from fhir_server.search.language import Language
from fhir_server.search.match import matches
from fhir_server.search.parse import parse
from fhir_server.search.tree import AnyOf, Filter, Query

_MOST_FIELDS = 64


def filters_of(job_type: str, filters: tuple[tuple[str, str], ...], language: Language) -> list[Query]:
    """The searches that `_typeFilter` asks for of one type. Raises InvalidRequestError for one that only shapes."""
    queries = []
    for type, text in filters:
        if type != job_type:
            continue
        try:
            pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS)
        except ValueError:
            raise InvalidRequestError("A _typeFilter is a search as a URL says it, in UTF-8.") from None
        query = parse(type, pairs, language)
        if query.sort or query.includes or query.counting or not query.view.is_whole or not query.filters:
            raise InvalidRequestError("A _typeFilter says which resources: nothing of order, of pages or of includes.")
        queries.append(query)
    return queries


class Selection:
    """Of one type in one job, as its client may see it now."""

    def __init__(self, engine: Engine, job: Job, call: Call, query: Query) -> None:
        self._engine, self._job, self.call, self.query = engine, job, call, query
        members = job.members
        self._inside = None if members is None else frozenset(f"Patient/{id}" for id in members)

    @classmethod
    async def of(cls, engine: Engine, job: Job, call: Call, type: str) -> "Selection":
        """Raises ForbiddenError where the client may not search that type."""
        mine = replace(call, interaction=Interaction.SEARCH_TYPE, type=type, id=None)
        searches = filters_of(type, job.asked.filters, engine.language)
        narrowed = [await engine.searching.narrowed(mine, each) for each in searches or [Query(type)]]
        query = narrowed[0]
        if searches:
            options = tuple(tuple(each.condition for each in one.filters) for one in narrowed)
            query = replace(query, filters=(Filter(AnyOf(options), ("", "")),))
        return cls(engine, job, mine, query)

    async def shown(self, found: Sequence[Stored]) -> list[Stored]:
        """Those versions that belong to the answer, as this client may see them."""
        inside = [stored for stored in found if self._is_inside(stored)]
        return await visible_among(self._engine.steps, self.call, self.query, inside)

    async def met(self, found: Sequence[Stored]) -> list[Stored]:
        """The same of versions that no search has found."""
        return await self.shown([stored for stored in found if matches(self.query, candidate(stored))])

    def _is_inside(self, stored: Stored) -> bool:
        if self._job.asked.level == "system":
            return True
        if self._inside is None:
            return any(place.startswith("Patient/") for place in stored.access)
        return not self._inside.isdisjoint(stored.access)

    async def tells_end(self, stored: Stored) -> bool:
        """May the client learn that this resource was deleted?"""
        return self._is_inside(stored) and await self._engine.steps.disclose(self.call, stored) is not None
