"""The log as who proves something of it sees it: the tree, and each event as its leaf was made of it.

sealed-storage section 6; port: audit.ports.LogTree.
"""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence

from pymongo import ASCENDING

from fhir_server.audit.ports import LogEntry
from fhir_server.crypto.keyring import Keyring
from fhir_server.crypto.keys import KeyClass, KeyId
from fhir_server.crypto.signing import Signer
from fhir_server.crypto.tree import TileId
from fhir_server.store.collections import Collections
from fhir_server.store.connection import Document, seam
from fhir_server.store.documents import Documents
from fhir_server.store.events import place_of
from fhir_server.store.lane_keys import Lane
from fhir_server.store.lanes import entry_of
from fhir_server.store.sequencer import Mark
from fhir_server.store.tree_rows import Run, TreeRows

_RUNS_AT_ONCE = 200


class LogRows:
    def __init__(self, collections: Collections, documents: Documents, keyring: Keyring) -> None:
        self.tree = TreeRows(collections)
        self._events, self._documents, self._keyring = collections.audit, documents, keyring

    async def newest(self) -> str | None:
        return await self.tree.newest()

    async def signed_at(self, size: int) -> str | None:
        return await self.tree.signed_at(size)

    async def tiles(self, ids: Collection[TileId]) -> Mapping[TileId, bytes]:
        return await self.tree.tiles(ids)

    async def entry(self, id: str) -> LogEntry | None:
        place = place_of(id)
        index = await self.tree.index_of(place["w"], place["n"]) if place else None
        if place is None or index is None:
            return None
        with seam():
            row = await self._events.find_one({"_id": place})
        return (await self._opened([(index, row)]))[0] if row else None

    async def entries(self, size: int) -> AsyncIterator[LogEntry]:
        """Those of a tree of this size, in its order. Where the rows are not those of the tree, fewer or others."""
        start = 0
        while start < size:
            runs = await self.tree.runs(start, _RUNS_AT_ONCE)
            if not runs:
                return
            for run in runs:
                for entry in await self._opened(await self._rows(run)):
                    if entry.index < size:
                        yield entry
            start = runs[-1].start + runs[-1].length

    async def _rows(self, run: Run) -> Sequence[tuple[int, Document]]:
        range_ = {"$gte": {"w": run.writer, "n": run.first}, "$lte": {"w": run.writer, "n": run.last}}
        with seam():
            found = await self._events.find({"_id": range_}).sort("_id", ASCENDING).to_list(None)
        return [(run.start + row["_id"]["n"] - run.first, row) for row in found]

    async def _opened(self, found: Sequence[tuple[int, Document]]) -> list[LogEntry]:
        keys = await self._keyring.open_keys({KeyId(row["key"]) for _, row in found})
        lanes = {(row["key"], row["_id"]["w"]) for _, row in found}
        opening = {(key, writer): Lane.of(keys[KeyId(key)], writer) for key, writer in lanes}
        return [self._entry(index, row, opening[row["key"], row["_id"]["w"]]) for index, row in found]

    def _entry(self, index: int, row: Document, lane: Lane) -> LogEntry:
        return LogEntry(index, entry_of(row), lane.salt(row["_id"]["n"]), lane.opened(self._documents, row))


async def log_mark(keyring: Keyring, database: str) -> Mark:
    """Its key is one of its own, and signs nothing else."""
    signer = Signer(await keyring.named("audit-checkpoints", KeyClass.SIGNING))
    return Mark(database, signer.public, signer.sign)
