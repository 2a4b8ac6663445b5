"""The engine's ResourceStore on MongoDB: current versions, earlier versions, searches, commits.

Architecture section 4. A read is one find_one; a search finds candidates by token and decides after opening.
"""

from collections.abc import Collection, Mapping, Sequence

from fhir_server.engine.change import Change
from fhir_server.engine.ports import Found, Present
from fhir_server.engine.position import Position
from fhir_server.engine.stored import Stored
from fhir_server.engine.window import Window
from fhir_server.kernel.errors import FhirError
from fhir_server.kernel.identity import ResourceKey
from fhir_server.search.tree import Query
from fhir_server.store.attaching import Attaching
from fhir_server.store.attachments import Attachments
from fhir_server.store.candidates import decided
from fhir_server.store.collections import Collections
from fhir_server.store.commit import Committer
from fhir_server.store.connection import Document, seam
from fhir_server.store.documents import UNSEARCHED
from fhir_server.store.event_versions import EventVersions
from fhir_server.store.events import Events
from fhir_server.store.fetching import fetch
from fhir_server.store.history import History
from fhir_server.store.indexing import Indexing
from fhir_server.store.lookups import Lookups
from fhir_server.store.opening import Opening
from fhir_server.store.outcomes import UnknownOutcomeError
from fhir_server.store.query_compiler import Compiled, by, compile_query
from fhir_server.store.referrers import reference_tokens
from fhir_server.store.shared_looks import SharedLooks

_FEWEST_CANDIDATES = 20


class Resources:
    def __init__(
        self,
        collections: Collections,
        opening: Opening,
        indexing: Indexing,
        attachments: Attachments,
        committer: Committer,
        events: Events,
    ) -> None:
        self._to, self._opening = collections, opening
        self._indexing, self._committer, self._events = indexing, committer, events
        self._attaching = Attaching(attachments, opening.keyring)
        self._history = History(collections, opening)
        self._event_versions = EventVersions(events, indexing.layouts)
        self._lookups = Lookups(collections.resources)
        self._looks = SharedLooks(collections.resources, UNSEARCHED)

    async def read(self, key: ResourceKey) -> Stored | None:
        if key.type == "AuditEvent":
            return await self._events.read(key.id)
        return (await self.read_many([key])).get(key)

    async def read_many(self, keys: Collection[ResourceKey]) -> Mapping[ResourceKey, Stored]:
        """One query, and one for the data keys that are not in memory."""
        found = await self._lookups.find_many([str(key) for key in keys])
        return {stored.key: stored for stored in await self._opening.rows(found)}

    async def read_version(self, key: ResourceKey, version: int) -> Stored | None:
        current = await self.read(key)
        if current is None or current.version == version:
            return current
        with seam():
            found = await self._to.history.find_one({"_id": f"{key}/_history/{version}"})
        opened = await self._opening.rows([found] if found else [])
        return opened[0] if opened else None

    async def present(self, keys: Collection[ResourceKey]) -> Mapping[ResourceKey, Present]:
        """One query on the ids; events of the log, which hardly anything names, one by one."""
        ids = {str(key): key for key in keys if key.type != "AuditEvent"}
        found: dict[ResourceKey, Present] = {}
        if ids:
            wanted: Document = {"_id": {"$in": sorted(ids)}, "deleted": False}
            with seam():
                cursor = self._to.resources.find(wanted, {"version": 1, "access": 1}, hint="_id_")
                async for row in cursor:
                    found[ids[row["_id"]]] = Present(int(row["version"]), tuple(row["access"]))
        for key in set(keys) - set(ids.values()):
            if event := await self._events.read(key.id):
                found[key] = Present(1, event.access)
        return found

    async def referring(self, key: ResourceKey, apart_from: Collection[str], limit: int) -> Sequence[Stored]:
        await self._indexing.layouts.fresh()
        tokens = self._indexing.layouts.searching.tokens(reference_tokens(key, apart_from))
        with seam():
            cursor = self._to.resources.find(
                {"tokens": {"$in": tokens}, "deleted": False}, UNSEARCHED, hint="tokens_seq"
            )
            found = await cursor.limit(limit).to_list(limit)
        return await self._opening.rows(found)

    async def find(self, query: Query, after: Position | None, limit: int) -> Found:
        """Looks at one batch of candidates; the caller comes back with the position for more."""
        await self._indexing.layouts.fresh()
        query = by(self._indexing.layouts.active, query)
        compiled = compile_query(query, after, self._indexing.layouts.searching)
        batch = max(limit, _FEWEST_CANDIDATES)
        found, opened = await self._candidates(query.type, compiled, batch)
        exact = list(filter(decided(query), opened))
        if len(exact) > limit:
            exact = exact[:limit]
            return Found(tuple(exact), _position(exact[-1]), len(found))
        end = None if len(found) < batch else Position(int(found[-1]["seq"]), found[-1]["_id"])
        return Found(tuple(exact), end, len(found))

    async def versions(
        self, types: Collection[str], id: str | None, window: Window, before: Position | None, limit: int
    ) -> list[Stored]:
        """Of the log alone, or of other types: the two are never asked for together."""
        if "AuditEvent" in types:
            return await self._event_versions.versions(id, window, before, limit)
        return await self._history.versions(types, id, window, before, limit)

    async def commit(self, changes: Sequence[Change]) -> tuple[Stored, ...]:
        rows = await self._attaching.rows(await self._indexing.rows(changes))
        try:
            return await self._committer.commit(rows)
        except UnknownOutcomeError:
            raise  # It may have been written; what was not is swept.
        except FhirError:
            await self._attaching.undo(rows)
            raise

    async def purge(self, key: ResourceKey) -> None:
        """The earlier versions of what is deleted; of what is not, nothing."""
        with seam():
            current = await self._to.resources.find_one({"_id": str(key)}, {"deleted": 1})
            if current is not None and current["deleted"]:
                await self._to.history.delete_many({"type": key.type, "id": key.id})

    async def _candidates(
        self, type: str, compiled: Compiled, batch: int
    ) -> tuple[Sequence[Document], Sequence[Stored]]:
        """Rows in order, and what of them opens."""
        if type == "AuditEvent":
            return await self._events.candidates(compiled, batch)
        with seam():
            found = await fetch(self._to.resources, compiled, batch, UNSEARCHED, shared=self._looks)
        return found, await self._opening.rows(found)


def _position(stored: Stored) -> Position:
    return Position(stored.seq, str(stored.key))
