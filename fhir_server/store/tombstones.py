"""What keys sealed gives way to tombstones inside a commit: versions, history, search tokens, photos.

GDPR Art. 17; row D9: a tombstone cannot be linked to anybody. It is sealed under the clinic's key, lies in no
compartment and is found by no search; it says that something of this id was here and was deleted.
"""

from collections.abc import Callable, Mapping, Sequence

from pymongo import ReplaceOne
from pymongo.asynchronous.client_session import AsyncClientSession

from fhir_server.crypto.keys import DataKey, DataRequest, KeyClass, KeyRequest
from fhir_server.engine.change import Change
from fhir_server.engine.stored import Stored
from fhir_server.kernel.clock import Clock
from fhir_server.kernel.errors import StaleVersionError
from fhir_server.kernel.identity import ResourceKey
from fhir_server.media.ports import CONDEMNED, LIVE, PENDING
from fhir_server.store.collections import Collections
from fhir_server.store.connection import Document
from fhir_server.store.documents import Documents, moment, row
from fhir_server.store.row_seals import RowSeal, erased_seal, row_seal

CLINIC = KeyRequest((), KeyClass.CLINIC)
_ADDRESS = {"type": 1, "id": 1, "version": 1, "seq": 1, "layout": 1}


class Tombstones:
    def __init__(self, collections: Collections, documents: Documents, clock: Clock) -> None:
        self._to, self._documents, self._clock = collections, documents, clock

    async def lay(
        self,
        keys: Sequence[bytes],
        open_keys: Mapping[DataRequest, DataKey],
        seq_after: Callable[[int], int],
        session: AsyncClientSession,
    ) -> list[RowSeal]:
        """What the log keeps of it: the seals of the tombstones, and which versions are gone for good."""
        if not keys:
            return []
        sealed: Document = {"key": {"$in": list(keys)}}
        found = await self._to.resources.find(sealed, _ADDRESS, session=session).to_list(None)
        stones = [self._stone(one, seq_after(int(one["seq"])), open_keys[CLINIC]) for one in found]
        if found:
            operations = [
                ReplaceOne({"_id": one["_id"], "version": one["version"]}, stone)
                for one, stone in zip(found, stones, strict=True)
            ]
            result = await self._to.resources.bulk_write(operations, ordered=False, session=session)
            if result.matched_count != len(found):
                raise StaleVersionError("The resource was changed in the meantime.")
        earlier = await self._to.history.find(sealed, _ADDRESS, session=session).to_list(None)
        await self._to.history.delete_many(sealed, session=session)
        # The photos that these resources carried.
        carried = {"owner": {"$in": [one["_id"] for one in found]}, "state": {"$in": [LIVE, PENDING]}}
        await self._to.photos.update_many(
            carried, {"$set": {"state": CONDEMNED, "since": self._clock.now()}}, session=session
        )
        gone = [erased_seal(f"{one['type']}/{one['id']}", int(one["version"])) for one in (*found, *earlier)]
        return [*gone, *(row_seal(stone["_id"], stone["version"], stone["sealed"]) for stone in stones)]

    def _stone(self, found: Document, seq: int, clinic: DataKey) -> Document:
        key, version = ResourceKey(found["type"], found["id"]), int(found["version"])
        previous = Stored(key, version, int(found["seq"]), moment(int(found["seq"])), b"")
        change = Change(key, None, previous, (), "DELETE")
        document, _ = self._documents.sealed(row(change, (), (), [], found.get("layout", 0)), seq, clinic)
        return document
