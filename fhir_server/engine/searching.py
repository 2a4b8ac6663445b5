"""The search interaction: one page of what matches and the caller may see, of one type or of several.

https://hl7.org/fhir/R4/http.html#search
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import TypeAlias

from fhir_server.engine.call import Call, Interaction
from fhir_server.engine.chains import Chains
from fhir_server.engine.includes import Includes
from fhir_server.engine.limits import Limits
from fhir_server.engine.lookup import Lookup
from fhir_server.engine.matching import Matching
from fhir_server.engine.page import Page
from fhir_server.engine.pipeline import Step
from fhir_server.engine.ports import ResourceStore
from fhir_server.engine.position import Position
from fhir_server.engine.stored import Stored
from fhir_server.engine.visible import candidate
from fhir_server.kernel.errors import ForbiddenError, TooCostlyError
from fhir_server.search.order import in_index_order, keys_of, place
from fhir_server.search.tree import Query

Asked: TypeAlias = Sequence[tuple[Call, Query]]
"""A query of each type that is searched, narrowed, and as whose call it is admitted and disclosed."""


class Searching:
    def __init__(self, store: ResourceStore, steps: Step, base: str, limits: Limits) -> None:
        self._steps, self._limits = steps, limits
        self._matching = Matching(store, steps, limits)
        lookup = Lookup(store, steps, limits)
        self._chains = Chains(lookup, base)
        self._includes = Includes(lookup, self._chains, base)

    async def narrowed(self, call: Call, query: Query) -> Query:
        """Admitted, with the caller's mandates, and with ids in the place of what other resources decide."""
        await self._steps.admit(call)
        return await self._chains.resolved(call, await self._steps.narrow(call, query))

    async def answer(self, call: Call, queries: Sequence[Query], after: Position | None, *, named: bool = True) -> Page:
        """Narrowed, found, disclosed; what is disclosed is for the caller to have recorded.

        Types that nobody named are left out where the caller may not search them.
        """
        try:
            async with asyncio.timeout(self._limits.seconds):
                page = await self._page(await self._asked(call, queries, named=named), after)
                includes = queries[0].includes
                if not includes or not page.matches:
                    return page
                return replace(page, included=await self._includes.of(call, queries[0], page.matches))
        except TimeoutError:
            raise TooCostlyError(f"A search takes at most {self._limits.seconds:g} seconds; narrow it.") from None

    async def _asked(self, call: Call, queries: Sequence[Query], *, named: bool) -> Asked:
        asked: list[tuple[Call, Query]] = []
        refused: list[ForbiddenError] = []
        for query in queries:
            mine = replace(call, interaction=Interaction.SEARCH_TYPE, type=query.type, id=None)
            try:
                asked.append((mine, await self.narrowed(mine, query)))
            except ForbiddenError as error:
                refused.append(error)
        if refused and (named or not asked):
            raise refused[0]
        return asked

    async def _page(self, asked: Asked, after: Position | None) -> Page:
        _, query = asked[0]
        if query.counting:
            return Page((), None, len(await self._everything(asked)))
        if all(in_index_order(each) for _, each in asked):
            page = await self._in_index_order(asked, after)
            if query.total == "accurate" and page.total is None:
                page = replace(page, total=len(await self._everything(asked)))
        else:
            page = await self._sorted(asked, after)
        return replace(page, total=None) if query.total == "none" else page

    async def _in_index_order(self, asked: Asked, after: Position | None) -> Page:
        """The first matches of each type, merged; one more is looked for, to know whether a page follows."""
        _, query = asked[0]
        count = query.count
        found = [one for call, each in asked for one in await self._matching.first(call, each, after, count + 1)]
        if len(asked) > 1:
            by_id = bool(query.sort) and query.sort[0].by == "_id"
            backwards = bool(query.sort) and query.sort[0].descending
            found.sort(key=lambda one: (0 if by_id else one.seq, str(one.key)), reverse=backwards)
        if len(found) <= count:
            return Page(tuple(found), None, len(found) if after is None else None)
        last = found[count - 1]
        return Page(tuple(found[:count]), Position(last.seq, str(last.key)))

    async def _sorted(self, asked: Asked, after: Position | None) -> Page:
        """Every match is opened, whatever the page: the database does not know the order of what is sealed."""
        _, query = asked[0]
        found = await self._everything(asked)
        placed = [(keys_of(query, candidate(one)), one) for one in found]
        placed.sort(key=lambda each: place(query, each[0], str(each[1].key)))
        if after is not None:
            here = place(query, after.keys, after.id)
            placed = [(keys, one) for keys, one in placed if here < place(query, keys, str(one.key))]
        page = tuple(one for _, one in placed[: query.count])
        if len(placed) <= query.count:
            return Page(page, None, len(found))
        keys, last = placed[query.count - 1]
        return Page(page, Position(last.seq, str(last.key), keys), len(found))

    async def _everything(self, asked: Asked) -> list[Stored]:
        found: list[Stored] = []
        for call, query in asked:
            found += await self._matching.every(call, query, self._limits.candidates - len(found))
        return found
