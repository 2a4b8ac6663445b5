"""One round over all rows of a clinic: those that were indexed in another way get their tokens anew.

sealed-storage section 2. A row that was written in the meantime is left as its writer made it.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from pymongo import UpdateOne
from pymongo.asynchronous.collection import AsyncCollection

from fhir_server.search.registry import Registry
from fhir_server.store.collections import Collections
from fhir_server.store.connection import Document, seam
from fhir_server.store.documents import UNSEARCHED, DamagedError
from fhir_server.store.events import Events
from fhir_server.store.indexing import Indexing
from fhir_server.store.layouts import Layouts
from fhir_server.store.lone_runner import LoneRunner
from fhir_server.store.opening import Opening

_AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class Stretch:
    """What was done since the last one. `seen`: of about `rows` rows, how many this round has behind it."""

    rewritten: int
    damaged: int
    seen: int
    rows: int


class Rewriting:
    def __init__(
        self, collections: Collections, layouts: Layouts, indexing: Indexing, events: Events, opening: Opening
    ) -> None:
        self._resources, self._events_index = collections.resources, collections.audit_index
        self._layouts, self._indexing, self._events, self._opening = layouts, indexing, events, opening

    async def round(self, runner: LoneRunner, registry: Registry) -> AsyncIterator[Stretch]:
        """Begins where the last round stopped that did not come to its end."""
        done = dict((await self._layouts.state()).get("done", {}))
        with seam():
            rows = await self._resources.estimated_document_count()
            rows += await self._events_index.estimated_document_count()
        seen = int(done.get("seen", 0))
        for name, collection in (("resources", self._resources), ("events", self._events_index)):
            while found := await self._next(collection, done.get(name, "")):
                stale = [row for row in found if not row["deleted"] and row.get("layout") != registry.number]
                rewritten, damaged = await self._rewritten(name, stale, registry, runner)
                seen += len(found)
                done |= {name: found[-1]["_id"], "seen": seen}
                await runner.change({"$set": {"done": done}})
                yield Stretch(rewritten, damaged, seen, max(rows, seen))
        await runner.change({"$set": {"done": {}}})

    async def _next(self, collection: AsyncCollection[Document], after: str) -> Sequence[Document]:
        """Of each row only what tells whether it is stale."""
        with seam():
            cursor = collection.find({"_id": {"$gt": after}}, {"layout": 1, "deleted": 1}, hint="_id_")
            found: list[Document] = await cursor.sort("_id", 1).limit(_AT_ONCE).to_list(None)
        return found

    async def _rewritten(
        self, name: str, stale: Sequence[Document], registry: Registry, runner: LoneRunner
    ) -> tuple[int, int]:
        """How many were rewritten, and how many of them do not open: these keep their tokens."""
        ids = [row["_id"] for row in stale]
        if not ids:
            return 0, 0
        if name == "events":
            return await self._events.reindex(ids, registry), 0
        with seam():
            rows = await self._resources.find({"_id": {"$in": ids}, "deleted": False}, UNSEARCHED).to_list(None)
        damaged = 0
        updates: list[UpdateOne] = []
        for row in rows:
            change: Document = {"layout": registry.number}
            try:
                change["tokens"] = await self._tokens(row, registry)
            except DamagedError:
                damaged += 1
            updates.append(UpdateOne({"_id": row["_id"], "seq": row["seq"]}, {"$set": change}))
        if damaged:  # said before it is done: who is killed between the two has said too much, never too little
            await runner.change({"$inc": {"damaged": damaged}})
        if updates:
            with seam():
                await self._resources.bulk_write(updates, ordered=False)
        return len(updates), damaged

    async def _tokens(self, row: Document, registry: Registry) -> list[int]:
        """None where its key was destroyed: it is not to be found any more."""
        opened = await self._opening.rows([row])
        return self._indexing.tokens(opened[0].resource, opened[0].access, registry) if opened else []
