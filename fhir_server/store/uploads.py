"""Uploads that come in pieces: sealed as they arrive, resumed where the last whole stored document ends.

sealed-storage section 5: a chunk is sealed once. What was sent again must be the same bytes, or it is 409; so that two
requests never seal one chunk, each claims its stretch before it seals.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta

from fhir_server.crypto.keyring import Keyring
from fhir_server.crypto.keys import DataKey, KeyId
from fhir_server.kernel.clock import Clock
from fhir_server.kernel.errors import ConflictError, GoneError, InvalidRequestError
from fhir_server.kernel.identity import ResourceKey
from fhir_server.media.ports import INCOMING, Photo, Upload
from fhir_server.store.chunks import POURED_TOGETHER, STEP, Chunks, Place
from fhir_server.store.collections import Collections
from fhir_server.store.connection import seam
from fhir_server.store.photos import Photos

_CLAIM = timedelta(seconds=60)
"""Far longer than sealing and storing one stretch takes: whoever claimed it before has died."""


@dataclass(frozen=True, slots=True)
class Staged:
    """A Source: what has arrived of an upload."""

    chunks: Chunks
    place: Place
    key: DataKey

    @property
    def size(self) -> int:
        return self.place.length

    async def read(self, start: int, stop: int) -> bytes:
        return b"".join([part async for part in self.chunks.read(self.place, self.key, start, stop, together=4)])


class Uploads:
    """The UploadVault on MongoDB. The rows lie among those of the photos, in a state of their own."""

    def __init__(
        self, collections: Collections, photos: Photos, keyring: Keyring, chunks: Chunks, clock: Clock
    ) -> None:
        self._rows, self._photos = collections.photos, photos
        self._keyring, self._chunks, self._clock = keyring, chunks, clock

    async def begin(self, owner: ResourceKey, subjects: tuple[str, ...], media_type: str, length: int) -> Upload:
        earlier = await self.find(owner)
        if earlier is not None:
            await self.abandon(earlier)
        photo, _ = await self._photos.begun(length, media_type, owner, subjects, INCOMING)
        return Upload(photo, 0)

    async def find(self, owner: ResourceKey) -> Upload | None:
        with seam():
            row = await self._rows.find_one({"owner": str(owner), "state": INCOMING}, sort=[("since", -1)])
        photo = await self._photos.find(row["_id"]) if row else None
        return Upload(photo, row.get("received", 0)) if row and photo else None

    async def append(self, upload: Upload, parts: AsyncIterator[bytes]) -> Upload:
        key, place = await self._key(upload.photo), _place(upload.photo)
        received, rest = upload.received, bytearray()
        async for part in parts:
            rest += part
            if received + len(rest) > place.length:
                raise InvalidRequestError("There are more bytes than the upload was announced with.")
            while len(rest) >= POURED_TOGETHER:
                received = await self._keep(upload.photo, key, received, bytes(rest[:POURED_TOGETHER]))
                del rest[:POURED_TOGETHER]
        whole = len(rest) if received + len(rest) == place.length else len(rest) // STEP * STEP
        if whole:
            received = await self._keep(upload.photo, key, received, bytes(rest[:whole]))
        return replace(upload, received=received)

    async def source(self, upload: Upload) -> Staged:
        return Staged(self._chunks, _place(upload.photo), await self._key(upload.photo))

    async def abandon(self, upload: Upload) -> None:
        await self._photos.discard(upload.photo)

    async def _keep(self, photo: Photo, key: DataKey, received: int, plain: bytes) -> int:
        """Claim, seal, store, advance. The row says how far everything before is durable."""
        now, stop = self._clock.now(), received + len(plain)
        free = [{"claimed": received}, {"claimed": {"$exists": False}}, {"since": {"$lt": now - _CLAIM}}]
        offset = {"received": received} if received else {"received": {"$in": [0, None]}}
        row = {"_id": photo.id, "state": INCOMING}
        with seam():
            claimed = await self._rows.update_one(
                {**row, **offset, "$or": free}, {"$set": {"claimed": stop, "since": now}}
            )
        if claimed.matched_count != 1:
            raise ConflictError("Another request goes on with this upload; ask where it stands.")
        await self._chunks.put(_place(photo), key, received // STEP, plain)
        with seam():
            await self._rows.update_one({**row, **offset}, {"$set": {"received": stop, "since": now}})
        return stop

    async def _key(self, photo: Photo) -> DataKey:
        found = await self._keyring.open_keys([KeyId(photo.key)])
        if KeyId(photo.key) not in found:
            raise GoneError("The upload has ended.")
        return found[KeyId(photo.key)]


def _place(photo: Photo) -> Place:
    return Place(photo.id, photo.salt, photo.length)
