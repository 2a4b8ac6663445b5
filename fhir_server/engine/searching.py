"""The search interaction: one page of what matches and the caller may see.

https://hl7.org/fhir/R4/http.html#search
"""

import asyncio
from dataclasses import replace

from fhir_server.engine.call import Call
from fhir_server.engine.chains import Chains
from fhir_server.engine.includes import Includes
from fhir_server.engine.limits import Limits
from fhir_server.engine.lookup import Lookup
from fhir_server.engine.page import Page
from fhir_server.engine.pipeline import Step
from fhir_server.engine.ports import ResourceStore
from fhir_server.engine.position import Position
from fhir_server.engine.stored import Stored
from fhir_server.engine.visible import visible
from fhir_server.kernel.errors import TooCostlyError
from fhir_server.search.language import Language
from fhir_server.search.tree import Query


class Searching:
    def __init__(self, store: ResourceStore, steps: Step, language: Language, limits: Limits) -> None:
        self._store, self._steps, self._limits = store, steps, limits
        lookup = Lookup(store, steps, limits)
        self._chains = Chains(lookup, language)
        self._includes = Includes(lookup, self._chains, language.base)

    async def narrowed(self, call: Call, query: Query) -> Query:
        """Admitted, with the caller's mandates, and with ids in the place of what other resources decide."""
        await self._steps.admit(call)
        return await self._chains.resolved(call, await self._steps.narrow(call, query))

    async def answer(self, call: Call, query: Query, after: Position | None) -> Page:
        """Narrowed, found, disclosed; what is disclosed is for the caller to have recorded."""
        try:
            async with asyncio.timeout(self._limits.seconds):
                return await self._answer(call, query, after)
        except TimeoutError:
            raise TooCostlyError(f"A search takes at most {self._limits.seconds:g} seconds; narrow it.") from None

    async def _answer(self, call: Call, query: Query, after: Position | None) -> Page:
        narrowed = await self.narrowed(call, query)
        if query.counting or query.total == "accurate":
            page = await self._counted(call, narrowed, after)
        else:
            page = await self._page(call, narrowed, after, query.count)
        if not query.includes:
            return page
        return replace(page, included=await self._includes.of(call, query.includes, page.matches))

    async def _page(self, call: Call, query: Query, after: Position | None, count: int) -> Page:
        """The first `count` matches after a position; one more is looked for, to know whether a page follows."""
        seen: list[Stored] = []
        position, looked = after, 0
        while len(seen) <= count:
            found = await self._store.find(query, position, count + 1 - len(seen))
            looked += found.looked
            seen += [one for match in found.matches if (one := await visible(self._steps, call, query, match))]
            position = found.position
            if position is None:
                break
            if looked > self._limits.candidates:
                raise TooCostlyError("Too many resources must be opened to answer; narrow the search.")
        if len(seen) <= count:
            return Page(tuple(seen), None, len(seen) if after is None else None)
        last = seen[count - 1]
        return Page(tuple(seen[:count]), Position(last.seq, str(last.key)))

    async def _counted(self, call: Call, query: Query, after: Position | None) -> Page:
        """An exact total is had by opening every match, so it has a bound."""
        most = self._limits.candidates
        everything = await self._page(call, query, None, most)
        if everything.next:
            raise TooCostlyError(f"An exact total is counted up to {most} matches; narrow the search.")
        if query.counting:
            return Page((), None, len(everything.matches))
        return replace(await self._page(call, query, after, query.count), total=len(everything.matches))
