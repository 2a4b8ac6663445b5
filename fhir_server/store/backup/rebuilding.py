"""What a backup leaves out, made again from the sealed truth: the tokens of resources and users, the log's index.

sealed-storage section 2. On the way every version is opened; what does not open is counted, and the first one named.
"""

from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass

from pymongo import UpdateOne
from pymongo.asynchronous.collection import AsyncCollection

from fhir_server.crypto.keyring import Keyring
from fhir_server.crypto.keys import KeyId
from fhir_server.engine.stored import Stored
from fhir_server.kernel.clock import Clock
from fhir_server.kernel.errors import UnavailableError
from fhir_server.media.ports import LIVE
from fhir_server.store.attachments import Attachments
from fhir_server.store.chunks import Chunks
from fhir_server.store.collections import Collections
from fhir_server.store.connection import Client, Document, seam
from fhir_server.store.documents import Documents, NewBytes
from fhir_server.store.doorway import door_tokenizer
from fhir_server.store.indexing import Indexing
from fhir_server.store.layouts import Layouts
from fhir_server.store.opening import Opening
from fhir_server.store.token_keys import TokenKeys
from fhir_server.store.users import rebuild_user_tokens

_AT_ONCE = 200
_PHOTOS = 3
_WITH_KEYS = ("resources", "history", "audit", "photos", "attachments")


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """`opened` versions, of which the current ones are found again; `erased`: their key was destroyed.

    `damaged`: the versions that do not open. `alive`: how many resources of each type. `photos`: some that are there.
    """

    opened: int
    erased: int
    damaged: tuple[str, ...]
    alive: Mapping[str, int]
    photos: tuple[str, ...]


class Rebuilding:
    """`base`: that of the clinic when it was backed up."""

    def __init__(
        self, client: Client, database: str, base: str, keyring: Keyring, clock: Clock, new_bytes: NewBytes
    ) -> None:
        self._to, self._keyring, self._base = Collections(client, database), keyring, base
        self._documents = Documents(database, new_bytes)
        attachments = Attachments(self._to, keyring, Chunks(self._to, database), clock, new_bytes)
        self._opening = Opening(self._documents, keyring, attachments)

    async def run(self) -> Rebuilt:
        """Raises UnknownKeyError where a row names a key that is neither there nor on the list of destroyed ones."""
        await self._require_keys()
        indexing = await self._indexing()
        opened = erased = 0
        damaged: list[str] = []
        alive = Counter[str]()
        for collection in (self._to.resources, self._to.history):
            async for found in _batches(collection):
                stored, broken = await self._opened(found)
                damaged += broken
                opened, erased = opened + len(stored), erased + len(found) - len(stored) - len(broken)
                if collection is self._to.resources:
                    alive.update(one.key.type for one in stored.values() if not one.deleted)
                    await self._retoken(found, stored, indexing)
        await rebuild_user_tokens(self._to, self._documents, self._keyring, await door_tokenizer(self._keyring))
        with seam():
            await self._to.writers.update_many({}, {"$set": {"indexed": 0, "open": True}})
            live = await self._to.photos.find({"state": LIVE}, {"_id": 1}).limit(_PHOTOS).to_list(None)
        return Rebuilt(opened, erased, tuple(damaged), dict(alive), tuple(photo["_id"] for photo in live))

    async def _require_keys(self) -> None:
        for name in _WITH_KEYS:
            with seam():
                cursor = await self._to.database[name].aggregate([{"$group": {"_id": "$key"}}])
                ids = [KeyId(found["_id"]) async for found in cursor if found["_id"]]
            for at in range(0, len(ids), _AT_ONCE):
                await self._keyring.open_keys(ids[at : at + _AT_ONCE])

    async def _opened(self, found: Sequence[Document]) -> tuple[dict[str, Stored], list[str]]:
        """By the row's id. One that does not open keeps none of the others from it."""
        try:
            stored = await self._opening.rows(found)
        except UnavailableError:
            if len(found) == 1:
                return {}, [str(found[0]["_id"])]
            opened: dict[str, Stored] = {}
            broken: list[str] = []
            for one in found:
                more, bad = await self._opened([one])
                opened |= more
                broken += bad
            return opened, broken
        return {one.raw["_id"]: one for one in stored}, []

    async def _indexing(self) -> Indexing:
        """In the way of indexing that was in force, or was being built."""
        layouts = Layouts(self._to, self._opening, TokenKeys(self._keyring))
        await layouts.open()
        return Indexing(self._to, layouts, self._base)

    async def _retoken(self, found: Sequence[Document], stored: Mapping[str, Stored], indexing: Indexing) -> None:
        registry = indexing.layouts.writing
        updates = []
        for row in found:
            one, tokens = stored.get(row["_id"]), list[int]()
            if one is not None and not one.deleted:
                tokens = indexing.tokens(one.resource, one.access, registry)
            updates.append(UpdateOne({"_id": row["_id"]}, {"$set": {"tokens": tokens, "layout": registry.number}}))
        with seam():
            await self._to.resources.bulk_write(updates, ordered=False)


async def _batches(collection: AsyncCollection[Document]) -> AsyncIterator[list[Document]]:
    after = ""
    while True:
        with seam():
            cursor = collection.find({"_id": {"$gt": after}}, hint="_id_").sort("_id", 1)
            found = await cursor.limit(_AT_ONCE).to_list(None)
        if not found:
            return
        yield found
        after = found[-1]["_id"]
