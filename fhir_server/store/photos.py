"""Photos as sealed chunks beside the resources: pending, live, condemned, destroyed.

sealed-storage section 5; architecture section 9. GridFS takes no part in transactions, so a photo's row carries a state
that the commit flips; what no commit made live is swept.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Sequence
from datetime import timedelta
from functools import partial

from fhir_server.crypto.blob import SALT_BYTES
from fhir_server.crypto.keyring import Keyring
from fhir_server.crypto.keys import DataKey, KeyId
from fhir_server.kernel import json
from fhir_server.kernel.clock import Clock
from fhir_server.kernel.errors import GoneError, UnavailableError
from fhir_server.kernel.identity import ResourceKey, parse_reference, random_id
from fhir_server.media.ports import CONDEMNED, DESTROYED, INCOMING, LIVE, PENDING, WITHIN, Kept, Photo, Reading
from fhir_server.privacy.reversibility.ports import Parts
from fhir_server.store.chunks import Chunks, Place
from fhir_server.store.collections import Collections
from fhir_server.store.connection import Document, seam
from fhir_server.store.documents import Documents, NewBytes
from fhir_server.store.lookups import Lookups

_PENDING_AT_MOST = timedelta(hours=1)


class Photos:
    """The PhotoVault on MongoDB."""

    def __init__(
        self,
        collections: Collections,
        documents: Documents,
        keyring: Keyring,
        chunks: Chunks,
        clock: Clock,
        new_bytes: NewBytes,
    ) -> None:
        self._rows, self._chunks = collections.photos, chunks
        self._documents, self._keyring = documents, keyring
        self._clock, self._new_bytes = clock, new_bytes
        self._lookups = Lookups(self._rows, None)

    async def put(self, data: bytes, media_type: str, owner: ResourceKey, subjects: tuple[str, ...]) -> Photo:
        return await self.pour(_only(data), len(data), media_type, owner, subjects)

    async def pour(
        self, parts: AsyncIterator[bytes], length: int, media_type: str, owner: ResourceKey, subjects: tuple[str, ...]
    ) -> Photo:
        photo, key = await self._new(length, media_type, owner, subjects, PENDING)
        await self._poured(photo, key, parts)
        return photo

    async def _poured(self, photo: Photo, key: DataKey, parts: AsyncIterator[bytes]) -> None:
        keeping = asyncio.create_task(self._keep(photo, key))
        try:
            await self._chunks.pour(_place(photo), key, parts, keeping)
        except BaseException:
            await asyncio.wait([keeping])
            await self.discard(photo)
            raise

    async def begun(
        self, length: int, media_type: str, owner: ResourceKey, subjects: tuple[str, ...], state: str = PENDING
    ) -> tuple[Photo, DataKey]:
        """Its row and its key, before any of its bytes: nothing is ever left over that no sweep would find."""
        photo, key = await self._new(length, media_type, owner, subjects, state)
        await self._keep(photo, key)
        return photo, key

    async def _new(
        self, length: int, media_type: str, owner: ResourceKey, subjects: tuple[str, ...], state: str
    ) -> tuple[Photo, DataKey]:
        id = random_id()
        key = await self._keyring.rendition_key(subjects, id, new=True)
        salt, now = self._new_bytes(SALT_BYTES), self._clock.now()
        return Photo(id, owner, subjects, state, media_type, length, key.id, salt, now), key

    async def arrive(
        self, photo_id: str, owner: ResourceKey, subjects: tuple[str, ...], media_type: str, parts: Parts
    ) -> None:
        earlier = await self.find(photo_id)
        if earlier is not None:
            await self.discard(earlier)
        key = await self._keyring.rendition_key(subjects, photo_id)
        salt, now = self._new_bytes(SALT_BYTES), self._clock.now()
        photo = Photo(photo_id, owner, subjects, PENDING, media_type, parts.length, key.id, salt, now)
        await self._poured(photo, key, parts.bytes)
        if not await self._move(photo, PENDING, LIVE):
            raise UnavailableError("A photo was not kept until all of it was there; try again.")

    async def _keep(self, photo: Photo, key: DataKey) -> None:
        """Its row, which comes before any of its bytes."""
        with seam():
            await self._rows.insert_one(self._row(photo, key))

    async def find(self, photo_id: str) -> Photo | None:
        with seam():
            found = await self._rows.find_one({"_id": photo_id})
        return (await self._photos([found]))[0] if found else None

    async def look(self, photo_id: str) -> Kept | None:
        row = await self._lookups.find(photo_id)
        if row is None:
            return None
        return Kept(photo_id, _owner(row), tuple(row["subjects"]), row["state"], partial(self._reading, row))

    async def of_patient(self, patient: str, states: Collection[str]) -> list[Photo]:
        with seam():
            found = await self._rows.find({"subjects": patient, "state": {"$in": sorted(states)}}).to_list(None)
        return await self._photos(found)

    async def stream(self, photo: Photo, start: int, stop: int) -> AsyncIterator[bytes]:
        """Fetches the key anew each time: destroyed in one process is gone in all."""
        async for part in self._bytes(photo, await self._key(photo.key), start, stop):
            yield part

    async def _reading(self, row: Document) -> Reading:
        key = await self._key(row["key"])
        photo = self._photo(row, key)
        return Reading(photo, partial(self._bytes, photo, key))

    async def _bytes(self, photo: Photo, key: DataKey, start: int, stop: int) -> AsyncGenerator[bytes, None]:
        async for part in self._chunks.read(_place(photo), key, start, stop):
            yield part
            start += len(part)
        if start < stop:
            raise GoneError("The photo was destroyed.")

    async def condemn(self, photo: Photo) -> None:
        await self._move(photo, LIVE, CONDEMNED)

    async def condemn_within(self, owner: ResourceKey, subjects: tuple[str, ...], key: bytes) -> None:
        keys = await self._keyring.open_keys([KeyId(key)])
        if KeyId(key) not in keys:
            return
        id = f"{WITHIN}{key.hex()}"
        photo = Photo(id, owner, subjects, CONDEMNED, "", 0, key, self._new_bytes(SALT_BYTES), self._clock.now())
        with seam():
            row = self._row(photo, keys[KeyId(key)])
            await self._rows.update_one({"_id": id}, {"$setOnInsert": row}, upsert=True)

    async def discard(self, photo: Photo) -> None:
        """Of one that no commit will make live, whether it is whole or still on its way."""
        if photo.state in {PENDING, INCOMING} and await self._move(photo, photo.state, CONDEMNED):
            await self.destroy([photo], "never committed")
            with seam():
                await self._rows.delete_one({"_id": photo.id, "state": DESTROYED})

    async def destroy(self, photos: Sequence[Photo], reason: str) -> None:
        """Keys, then ciphertext, then the attempt to open; only then do the rows say destroyed.

        All together: each destruction renews the wrapping keys above what was destroyed.
        """
        if not photos:
            return
        keys, ids = [KeyId(photo.key) for photo in photos], [photo.id for photo in photos]
        # 1. Without their keys nothing opens the bytes any more, wherever copies of them lie.
        await self._keyring.destroy(keys, reason)
        # 2. The bytes themselves.
        await self._chunks.delete(*ids)
        # 3. Believe neither: try.
        await self._require_unreadable(photos)
        with seam():
            await self._rows.update_many(
                {"_id": {"$in": ids}, "state": CONDEMNED},
                {"$set": {"state": DESTROYED, "since": self._clock.now(), "reason": reason}},
            )

    async def sweep(self) -> int:
        """Destroy what was taken in and never committed, and what a sweep or task left half destroyed. How many?"""
        before = self._clock.now() - _PENDING_AT_MOST
        with seam():
            found = await self._rows.find(
                {"state": {"$in": [CONDEMNED, PENDING, INCOMING]}, "since": {"$lt": before}}
            ).to_list(100)
        photos = await self._photos(found)
        # A commit that comes at the same time finds the row condemned, and aborts.
        swept = [one for one in photos if one.state == CONDEMNED or await self._move(one, one.state, CONDEMNED)]
        await self.destroy(swept, "never committed")
        return len(found)

    async def _move(self, photo: Photo, before: str, after: str) -> bool:
        with seam():
            moved = await self._rows.update_one(
                {"_id": photo.id, "state": before}, {"$set": {"state": after, "since": self._clock.now()}}
            )
        return moved.matched_count == 1

    async def _require_unreadable(self, photos: Sequence[Photo]) -> None:
        if await self._keyring.open_keys([KeyId(photo.key) for photo in photos]):
            raise UnavailableError("A destroyed photo can still be opened; the task runs again.")

    async def _key(self, id: bytes) -> DataKey:
        found = await self._keyring.open_keys([KeyId(id)])
        if KeyId(id) not in found:
            raise GoneError("The photo was destroyed.")
        return found[KeyId(id)]

    def _row(self, photo: Photo, key: DataKey) -> Document:
        particulars = json.encode({"mediaType": photo.media_type, "length": photo.length})
        return {
            "_id": photo.id,
            "owner": str(photo.owner),
            "subjects": list(photo.subjects),
            "state": photo.state,
            "since": photo.since,
            "key": photo.key,
            "salt": photo.salt,
            "sealed": self._documents.seal_bytes(particulars, "Photo", f"{photo.id}/{photo.owner}", 1, key),
        }

    async def _photos(self, rows: Sequence[Document]) -> list[Photo]:
        keys = await self._keyring.open_keys({KeyId(row["key"]) for row in rows})
        return [self._photo(row, keys.get(KeyId(row["key"]))) for row in rows]

    def _photo(self, row: Document, key: DataKey | None) -> Photo:
        """Without its key, empty particulars: they went with it."""
        media_type, length = self._particulars(row, key) if key else ("", 0)
        return Photo(
            row["_id"],
            _owner(row),
            tuple(row["subjects"]),
            row["state"],
            media_type,
            length,
            row["key"],
            row["salt"],
            row["since"],
            row.get("reason", ""),
        )

    def _particulars(self, row: Document, key: DataKey) -> tuple[str, int]:
        plain = self._documents.open_bytes(row["sealed"], "Photo", f"{row['_id']}/{row['owner']}", 1, key)
        found = json.decode_trusted(plain)
        return found["mediaType"], found["length"]


async def _only(data: bytes) -> AsyncIterator[bytes]:
    yield data


def _owner(row: Document) -> ResourceKey:
    owner = parse_reference(row["owner"])
    assert owner is not None, "only keys are written into a photo's row"
    return owner


def _place(photo: Photo) -> Place:
    return Place(photo.id, photo.salt, photo.length)
