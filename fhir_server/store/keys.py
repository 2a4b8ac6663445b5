"""The key ring's KeyStore on MongoDB: wrapped keys and the list of destroyed ones, in a database of their own.

Architecture section 5; sealed-storage section 3. That database is backed up apart from the data.
"""

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime

from pymongo import ASCENDING, DESCENDING, IndexModel, ReplaceOne
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import BulkWriteError

from fhir_server.crypto.destroyed import DestroyedKey, Tally, appended
from fhir_server.crypto.keys import KeyClass, KeyId
from fhir_server.crypto.rows import KeyRow, Wrap, WrapperKind
from fhir_server.store.connection import Client, Document, seam
from fhir_server.store.lookups import Lookups

INDEXES: dict[str, list[IndexModel]] = {
    "keys": [
        IndexModel([("wraps.key", ASCENDING)], name="key"),
        IndexModel([("wraps.by", ASCENDING)], name="by"),
        IndexModel([("owners", ASCENDING)], name="pictures", partialFilterExpression={"kind": str(KeyClass.PICTURE)}),
        IndexModel([("kind", ASCENDING)], name="overdue", partialFilterExpression={"due": True}),
    ],
    "destroyed": [IndexModel([("key", ASCENDING)], name="key", unique=True)],
}
_DUPLICATE_KEY = 11000


class Keys:
    def __init__(self, client: Client, database: str) -> None:
        self._client = client
        self.database: AsyncDatabase[Document] = client[f"{database}_keys"]
        self._rows, self._destroyed = self.database["keys"], self.database["destroyed"]
        self._by_name = Lookups(self._rows, None)
        self._by_key = Lookups(self._rows, None, "wraps.key", _keys_in)

    async def fetch(self, *, names: Collection[str] = (), ids: Collection[KeyId] = ()) -> Sequence[KeyRow]:
        if names and ids:
            some, more = await asyncio.gather(self._by_name.find_many(names), self._by_key.find_many(ids))
            found = [*some, *more]
        else:
            found = await self._by_key.find_many(ids) if ids else await self._by_name.find_many(names)
        return [_row(document) for document in {document["_id"]: document for document in found}.values()]

    async def owned(self, owner: str, kind: KeyClass) -> Sequence[KeyRow]:
        with seam():
            found = await self._rows.find({"owners": owner, "kind": str(kind)}).to_list(None)
        return [_row(document) for document in found]

    async def revisions(self, names: Collection[str]) -> Mapping[str, int]:
        with seam():
            found = await self._rows.find({"_id": {"$in": list(names)}}, {"revision": True}).to_list(None)
        return {document["_id"]: document["revision"] for document in found}

    async def insert(self, rows: Sequence[KeyRow]) -> int:
        if not rows:
            return 0
        with seam():
            try:
                await self._rows.insert_many([_document(row) for row in rows], ordered=True)
            except BulkWriteError as error:
                faults = error.details.get("writeErrors", [])
                if error.details.get("writeConcernErrors") or any(one["code"] != _DUPLICATE_KEY for one in faults):
                    raise
                return int(error.details["nInserted"])
        return len(rows)

    async def replace(self, rows: Sequence[KeyRow]) -> AbstractSet[str]:
        if not rows:
            return frozenset()
        operations = [ReplaceOne({"_id": row.name, "revision": row.revision - 1}, _document(row)) for row in rows]
        with seam():
            result = await self._rows.bulk_write(operations, ordered=False)
        if result.matched_count == len(rows):
            return frozenset()
        there = {row.name: row for row in await self.fetch(names=[row.name for row in rows])}
        return frozenset(row.name for row in rows if there.get(row.name) != row)

    async def wrapped_by(self, wrappers: Collection[KeyId], most: int) -> Sequence[KeyRow]:
        with seam():
            found = await self._rows.find({"wraps.by": {"$in": list(wrappers)}}).limit(most).to_list(most)
        return [_row(document) for document in found]

    async def due(self, kind: WrapperKind, most: int) -> Sequence[KeyRow]:
        with seam():
            found = await self._rows.find({"kind": str(kind), "due": True}).limit(most).to_list(most)
        return [_row(document) for document in found]

    async def destroy(
        self, key_ids: Collection[KeyId], stale: Collection[str], reason: str, instant: datetime
    ) -> Sequence[DestroyedKey]:
        """One transaction; the numbers of the list make two processes that append at once conflict, and one retry."""

        async def within(session: AsyncClientSession) -> list[DestroyedKey]:
            mine = {"wraps.key": {"$in": list(key_ids)}, "kind": {"$nin": [str(kind) for kind in WrapperKind]}}
            found = await self._rows.find(mine, session=session).to_list(None)
            going = sorted(KeyId(document["wraps"][-1]["key"]) for document in found)
            if not going:
                return []
            last = await self._destroyed.find_one({}, sort=[("_id", DESCENDING)], session=session)
            tally = Tally(last["_id"], last["sha256"]) if last else Tally()
            entries = list(appended(tally, going, reason, instant))
            await self._rows.delete_many({"_id": {"$in": [document["_id"] for document in found]}}, session=session)
            await self._destroyed.insert_many([_entry_document(entry) for entry in entries], session=session)
            if stale:
                change = {"$set": {"stale": True, "due": True}, "$inc": {"revision": 1}}
                await self._rows.update_many({"_id": {"$in": list(stale)}}, change, session=session)
            return entries

        with seam():
            async with self._client.start_session() as session:
                return await session.with_transaction(within)

    async def destroyed(self, key_ids: Collection[KeyId]) -> Sequence[DestroyedKey]:
        with seam():
            cursor = self._destroyed.find({"key": {"$in": list(key_ids)}}).sort("_id", ASCENDING)
            return [_entry(document) async for document in cursor]

    async def listed(self, after: int, up_to: int) -> Sequence[DestroyedKey]:
        """The entries of the list behind this number, up to and with that one."""
        with seam():
            cursor = self._destroyed.find({"_id": {"$gt": after, "$lte": up_to}}).sort("_id", ASCENDING)
            return [_entry(document) async for document in cursor]

    async def tally(self) -> Tally:
        with seam():
            last = await self._destroyed.find_one({}, sort=[("_id", DESCENDING)])
        return Tally(last["_id"], last["sha256"]) if last else Tally()

    async def counts(self) -> Mapping[str, int]:
        with seam():
            cursor = await self._rows.aggregate([{"$group": {"_id": "$kind", "count": {"$sum": 1}}}])
            return {document["_id"]: document["count"] async for document in cursor}


def _keys_in(document: Document) -> Iterable[bytes]:
    return (wrap["key"] for wrap in document["wraps"])


def _document(row: KeyRow) -> Document:
    return {
        "_id": row.name,
        "kind": str(row.kind),
        "owners": list(row.owners),
        "wraps": [{"key": wrap.key, "by": wrap.by, "blob": wrap.blob} for wrap in row.wraps],
        "revision": row.revision,
        "stale": row.stale,
        "due": row.due,
    }


_KINDS: Mapping[str, KeyClass | WrapperKind] = {str(kind): kind for kind in (*KeyClass, *WrapperKind)}


def _row(document: Document) -> KeyRow:
    return KeyRow(
        document["_id"],
        _KINDS[document["kind"]],
        tuple(document["owners"]),
        tuple(Wrap(KeyId(wrap["key"]), KeyId(wrap["by"]), wrap["blob"]) for wrap in document["wraps"]),
        document["revision"],
        document["stale"],
    )


def _entry(document: Document) -> DestroyedKey:
    return DestroyedKey(
        document["_id"], KeyId(document["key"]), document["instant"], document["reason"], document["sha256"]
    )


def _entry_document(entry: DestroyedKey) -> Document:
    return {
        "_id": entry.number,
        "key": entry.key_id,
        "instant": entry.instant,
        "reason": entry.reason,
        "sha256": entry.sha256,
    }
