"""The real thing: a search of the engine on MongoDB, all its pages, held against the second opinion."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from fhir_server.engine.call import Interaction
from fhir_server.engine.drafts import Drafts
from fhir_server.engine.interactions import Engine
from fhir_server.engine.limits import Limits
from fhir_server.engine.pipeline import Pipeline
from fhir_server.engine.position import Position
from fhir_server.engine.stored import Stored
from fhir_server.search.language import Language
from fhir_server.search.parse import parse
from fhir_server.smart.access import Access
from tests.contract.clinics import store_on, writing
from tests.fakes.clinic import BASE
from tests.fakes.clock import FakeClock
from tests.properties.search.oracle import data
from tests.properties.search.oracle.queries import Search, expected, included, search_of
from tests.properties.search.oracle.world import World
from tests.unit.engine.calls import SYSTEM, call, holder

_AT_ONCE = 100
_PLENTY = 1_000_000
_PAGES = 5


@dataclass
class Compared:
    """`engine` searches what `world` looks at."""

    engine: Engine
    world: World

    async def check(self, seed: int) -> int:
        """How many resources matched. Fails where the two do not agree on which, or on their order."""
        search = search_of(self.world, seed)
        wanted = expected(self.world, search)
        search = replace(search, count=max(search.count, -(-len(wanted) // _PAGES)))
        said = (
            f"search {seed}: {search.type}?{'&'.join('='.join(pair) for pair in search.pairs())} for {search.patient}"
        )
        found = await self._all_pages(search, said, len(wanted))
        assert [str(one.key) for one in found] == [str(one.key) for one in wanted], said
        return len(found)

    async def _all_pages(self, search: Search, said: str, total: int) -> list[Stored]:
        query = parse(search.type, search.pairs(), self.engine.language)
        caller = holder("patient/*.rs", patient=search.patient) if search.patient else SYSTEM
        asking = call(Interaction.SEARCH_TYPE, search.type, principal=caller)
        found: list[Stored] = []
        after: Position | None = None
        for _ in range(_PAGES + 1):
            page = await self.engine.search(asking, query, after)
            assert len(page.matches) <= search.count, said
            assert page.total in {None, total}, said
            brought = {str(one.key) for one in page.included}
            assert brought == included(self.world, search, list(page.matches)), said
            found += page.matches
            after = page.next
            if after is None:
                return found
        raise AssertionError(said)


@asynccontextmanager
async def compared(mongo_uri: str, database: str, folder: Path, patients: int) -> AsyncIterator[Compared]:
    async with store_on(mongo_uri, database, folder, FakeClock()) as store:
        resources = data.resources(patients)
        stored: list[Stored] = []
        for first in range(0, len(resources), _AT_ONCE):
            stored += await store.resources.commit([writing(one) for one in resources[first : first + _AT_ONCE]])
        steps = Pipeline((Access(BASE),))
        limits = Limits(candidates=_PLENTY, linked=_PLENTY, included=_PLENTY, seconds=600)
        drafts = Drafts(store.resources, steps, str, BASE)
        engine = Engine(store.resources, steps, drafts, lambda: Language(BASE, chain_depth=5), limits)
        yield Compared(engine, World(stored, BASE))
