"""AuditEvents as resources: opened by id, indexed after they were written, found by token.

sealed-storage section 6: an event is inserted without any index; its index row follows, so that recording stays cheap.
"""

from collections.abc import Mapping, Sequence

from pymongo import ASCENDING, UpdateOne
from pymongo.errors import BulkWriteError

from fhir_server.crypto.keyring import Keyring
from fhir_server.crypto.keys import DataKey, KeyId
from fhir_server.engine.stored import Stored, truth
from fhir_server.fhir.compartments import memberships, subjects
from fhir_server.kernel import json
from fhir_server.kernel.identity import ResourceKey
from fhir_server.kernel.json import Json
from fhir_server.search.extract import compartment_keyword, index_keywords
from fhir_server.search.registry import Registry
from fhir_server.store.collections import Collections
from fhir_server.store.connection import Document, is_duplicate, seam
from fhir_server.store.documents import Documents, moment
from fhir_server.store.fetching import fetch
from fhir_server.store.lane_keys import Lane
from fhir_server.store.lanes import BEYOND, SETTLE, following
from fhir_server.store.layouts import Layouts
from fhir_server.store.query_compiler import Compiled

_AT_ONCE = 500


class Events:
    """`index` may run in any number of processes at once; what one has done, the other finds done."""

    def __init__(
        self,
        collections: Collections,
        documents: Documents,
        keyring: Keyring,
        layouts: Layouts,
        base: str,
    ) -> None:
        self._events, self._index, self._writers = collections.audit, collections.audit_index, collections.writers
        self._documents, self._keyring, self._base = documents, keyring, base
        self._layouts = layouts

    async def read(self, id: str) -> Stored | None:
        place = place_of(id)
        if place is None:
            return None
        with seam():
            found = await self._events.find_one({"_id": place})
        opened = await self._opened([found] if found else [])
        return opened[0] if opened else None

    async def candidates(self, compiled: Compiled, batch: int) -> tuple[Sequence[Document], list[Stored]]:
        """Index rows in order, and their events. Indexes first, so that a search finds all that was recorded before."""
        await self.index()
        with seam():
            rows = await fetch(self._index, compiled, batch)
            found = await self._events.find({"_id": {"$in": [place_of(row["id"]) for row in rows]}}).to_list(batch)
        events = {event.key.id: event for event in await self._opened(found)}
        return rows, [events[row["id"]] for row in rows if row["id"] in events]

    async def index(self) -> int:
        """Index what was written since; how many events."""
        await self._layouts.fresh()
        with seam():
            writers = await self._writers.find({"open": True}).to_list(None)
        return sum([await self._index_writer(writer) for writer in writers])

    async def _index_writer(self, writer: Document) -> int:
        done, count = int(writer["indexed"]), 0
        while True:
            with seam():
                left = self._events.find(following(writer["_id"], done)).sort("_id", ASCENDING)
                found = await left.to_list(_AT_ONCE)
            rows = [self._row(event, self._layouts.writing) for event in await self._opened(found)]
            await self._insert(rows)
            if found:
                done = int(found[-1]["_id"]["n"])
            count += len(found)
            if found or "last" in writer:
                # After each part: whoever is stopped by a time limit has done something for the next.
                with seam():
                    await self._writers.update_one(
                        {"_id": writer["_id"]}, [{"$set": {"indexed": {"$max": ["$indexed", done]}}}, *SETTLE]
                    )
            if len(found) < _AT_ONCE:
                return count

    async def _insert(self, rows: Sequence[Document]) -> None:
        if not rows:
            return
        with seam():
            try:
                await self._index.insert_many(rows, ordered=False)
            except BulkWriteError as error:
                # Another process indexed some of them at the same time.
                if not is_duplicate(error):
                    raise

    async def reindex(self, rows: Sequence[str], registry: Registry) -> int:
        """Make these rows of the index anew; how many. An event that is gone is not to be found any more either."""
        places = [place_of(row.removeprefix("AuditEvent/")) for row in rows]
        with seam():
            found = await self._events.find({"_id": {"$in": places}}).to_list(None)
        fresh = {str(event.key): self._row(event, registry) for event in await self._opened(found)}
        gone: Document = {"tokens": [], "layout": registry.number}
        changed = [UpdateOne({"_id": row}, {"$set": fresh.get(row, gone)}) for row in rows]
        with seam():
            await self._index.bulk_write(changed, ordered=False)
        return len(rows)

    def _row(self, event: Stored, registry: Registry) -> Document:
        lies_in = [compartment_keyword("AuditEvent", one) for one in event.access if one.startswith("Patient/")]
        return {
            "_id": str(event.key),
            "type": event.key.type,
            "id": event.key.id,
            "seq": event.seq,
            "deleted": False,
            "tokens": self._layouts.tokens(registry, [*index_keywords(event.resource, registry), *lies_in]),
            "layout": registry.number,
        }

    async def _opened(self, found: Sequence[Document]) -> list[Stored]:
        keys = await self._keyring.open_keys({KeyId(event["key"]) for event in found})
        return [self._stored(event, keys) for event in found]

    def _stored(self, event: Document, keys: Mapping[KeyId, DataKey]) -> Stored:
        writer, number = event["_id"]["w"], int(event["_id"]["n"])
        key = ResourceKey("AuditEvent", f"{writer}-{number}")
        plain = Lane.of(keys[KeyId(event["key"])], writer).opened(self._documents, event)
        resource: Json = json.decode_trusted(plain)
        seq = int(event["seq"])
        access, named = memberships(resource, self._base), subjects(resource, self._base)
        return Stored(key, 1, seq, moment(seq), truth(key, resource), access, named)


def place_of(id: str) -> Document | None:
    """`ab12-7` -> the writer and its number. In this order: the database compares them byte by byte."""
    writer, _, number = id.partition("-")
    if not writer or not number.isascii() or not number.isdigit() or str(int(number)) != number:
        return None
    return {"w": writer, "n": int(number)} if int(number) < BEYOND else None
