"""Which way of indexing is in force, for searches and for writes, in every process of a clinic.

sealed-storage section 2: each row carries the version of its tokens. Searches rely on the version that all rows have;
writes use the one that is being built, which has everything of it and more (`store.reindexing`).
"""

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

from pymongo.errors import DuplicateKeyError

from fhir_server.crypto.tokens import Tokenizer
from fhir_server.kernel.errors import ContendedError, UnavailableError
from fhir_server.kernel.json import Json
from fhir_server.search.custom import taken
from fhir_server.search.extract import Keyword
from fhir_server.search.registry import RULES, Registry
from fhir_server.store.collections import Collections
from fhir_server.store.connection import Document, seam
from fhir_server.store.layout import MIXED, Layout, highest, layout_of
from fhir_server.store.opening import Opening
from fhir_server.store.token_keys import TokenKeys

_ID = "search"
PATIENCE = 10.0
"""Seconds after which a process looks again. Whoever changes a layout waits longer than that before relying on it."""

MARGIN = 2.0
"""Seconds that somebody who looked in time may still go by what was seen."""


class Layouts:
    """`active` is what searches rely on, `writing` what new rows get."""

    def __init__(self, collections: Collections, opening: Opening, keys: TokenKeys, patience: float = PATIENCE) -> None:
        self._rows, self._resources, self._history = collections.layouts, collections.resources, collections.history
        self._opening, self._keys, self.patience = opening, keys, patience
        self.active = self._target = Registry(number=1)
        self._known: dict[int, Registry] = {}
        self._foreign = False
        self._looked = 0.0
        self._looking = asyncio.Lock()

    @property
    def writing(self) -> Registry:
        """Raises UnavailableError where the rows are to be as another version of this program makes them."""
        if self._foreign:
            raise UnavailableError("Another version of this server is rebuilding the search index; it has to finish.")
        return self._target

    @property
    def searching(self) -> Tokenizer:
        """By which rows are looked up now: whoever searches takes `active` and this at the same instant."""
        return self._keys.newest(self.active.epochs)

    def locking(self) -> Sequence[Tokenizer]:
        """By which writers lock: while an epoch ends, one that does not know it yet meets one that does."""
        return self._keys.each(self.writing.epochs)

    def tokens(self, registry: Registry, keywords: Sequence[Keyword]) -> list[int]:
        """What a row of this layout bears."""
        return self._keys.tokens(registry.epochs, keywords)

    async def open(self) -> None:
        """Where nothing was ever stored, the way that this code knows is in force.

        Where rows were made by other rules, searches stop to rely on them, everywhere, before the first row is written
        by ours.
        """
        with seam():
            if await self._rows.find_one({"_id": _ID}) is None:
                fresh = await self._resources.find_one({}, {"_id": 1}) is None
                first = Layout(1, RULES if fresh else MIXED)
                begin: Document = {"active": first.document(), "target": None, "complete": 1 if fresh else 0}
                with suppress(DuplicateKeyError):  # another process may be faster
                    await self._rows.insert_one({"_id": _ID, **begin})
        state = await self.state()
        active = layout_of(state["active"])
        if active.rules not in {RULES, MIXED}:
            mixed = replace(active, number=highest(state) + 1, rules=MIXED)
            await self.change(
                {"active.number": active.number},
                {"$set": {"active": mixed.document(), "target": None, "mixing": True}},
            )
            state = await self.state()
        if state.get("mixing"):
            await asyncio.sleep(self.patience + MARGIN)
            await self.change({}, {"$unset": {"mixing": ""}})
        await self.look()

    @asynccontextmanager
    async def kept_fresh(self) -> AsyncIterator[None]:
        """Looked at again and again until left, so that a new parameter is known before anybody finds by it."""
        looking = asyncio.create_task(self._look_again())
        try:
            yield
        finally:
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)

    async def fresh(self) -> None:
        """Look again where that was long ago. Raises UnavailableError where it cannot: then nothing may rely on it."""
        if self._is_stale():
            async with self._looking:
                if self._is_stale():
                    await self.look()

    async def require(self, numbers: Collection[int]) -> None:
        """Rows of these layouts may be written now. Raises ContendedError where they have to be made anew."""
        await self.fresh()
        if any(number != self.writing.number for number in numbers):
            raise ContendedError("The search index is laid out anew; try again.")

    async def look(self) -> None:
        now = asyncio.get_running_loop().time()
        document = await self.state()
        active = layout_of(document["active"])
        target = layout_of(document["target"]) if document["target"] else active
        epochs = {*active.epochs, *target.epochs}
        await self._keys.open(epochs)
        registries = await self._registry(active), await self._registry(target)
        self.active, self._target = registries
        self._keys.forget(epochs)
        self._foreign = target.rules not in {RULES, MIXED}
        self._known = {each.number: each for each in (self.active, self._target)}
        self._looked = now

    async def state(self) -> Document:
        with seam():
            found = await self._rows.find_one({"_id": _ID})
        if found is None:
            raise UnavailableError("It is not known how the search index is laid out.")
        return found

    async def change(self, condition: Document, update: Document) -> bool:
        """One step of whoever rebuilds; False where it was not as expected."""
        with seam():
            result = await self._rows.update_one({"_id": _ID, **condition}, update)
        return result.matched_count == 1

    async def _look_again(self) -> None:
        while True:
            await asyncio.sleep(self.patience / 2)
            with suppress(UnavailableError):  # whoever relies on it looks for himself, and is told
                await self.look()

    def _is_stale(self) -> bool:
        return asyncio.get_running_loop().time() - self._looked > self.patience

    async def _registry(self, layout: Layout) -> Registry:
        known = self._known.get(layout.number)
        if known is not None:
            return known
        definitions = taken([await self._definition(id, version) for id, version in layout.custom]).definitions
        whole = layout.rules == RULES
        return Registry(definitions, frozenset(layout.inside), layout.number, whole=whole, epochs=layout.epochs)

    async def _definition(self, id: str, version: int) -> Json:
        """A SearchParameter as it was when the layout was made; it may have changed since."""
        with seam():
            found = await self._resources.find_one({"_id": f"SearchParameter/{id}", "version": version})
            if found is None:
                found = await self._history.find_one({"_id": f"SearchParameter/{id}/_history/{version}"})
        opened = await self._opening.rows([found] if found else [])
        if not opened:
            raise UnavailableError("A search parameter that the index was built with cannot be read.")
        return opened[0].resource
