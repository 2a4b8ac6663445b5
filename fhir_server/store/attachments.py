"""Large base64 data beside the resources: sealed in chunks under the key of their resource; pending, then live.

sealed-storage section 5; architecture section 9. As with photos the commit flips the state, and what no commit made
live is swept. What names a piece of data, its place and its nonce salt, stands under the seal of the resource alone.
"""

import base64
from collections.abc import AsyncIterator, Collection, Iterable
from dataclasses import dataclass
from datetime import timedelta

from fhir_server.crypto.blob import SALT_BYTES
from fhir_server.crypto.keyring import Keyring
from fhir_server.crypto.keys import DataKey, KeyId
from fhir_server.engine.attached import Attached
from fhir_server.kernel.clock import Clock
from fhir_server.kernel.errors import GoneError, UnavailableError
from fhir_server.kernel.identity import ResourceKey, random_id
from fhir_server.kernel.json import Json
from fhir_server.store import base64_text
from fhir_server.store.base64_text import Plain
from fhir_server.store.chunks import Chunks, Place
from fhir_server.store.collections import Collections
from fhir_server.store.connection import seam
from fhir_server.store.documents import NewBytes

PENDING, LIVE, CONDEMNED = "pending", "live", "condemned"
_PENDING_AT_MOST = timedelta(hours=1)
_SWEPT_AT_ONCE = 100
_FETCHED_TOGETHER = 4
"""Documents of chunks: 1 MiB, which saves three round trips of four."""


@dataclass(frozen=True, slots=True)
class Description:
    """What the seal of a resource holds of a piece of its data.

    `decoded`: the chunks hold the data itself, for its text follows from it; else they hold the text as it came.
    """

    place: Place
    decoded: bool
    size: int
    length: int
    digest: bytes

    @property
    def content_key(self) -> tuple[bool, bytes]:
        """As `Plain.content_key`."""
        return self.decoded, self.digest

    def as_json(self) -> Json:
        return {
            "id": self.place.id,
            "salt": base64.b64encode(self.place.salt).decode(),
            "sealed": self.place.length,
            "decoded": self.decoded,
            "size": self.size,
            "length": self.length,
            "digest": base64.b64encode(self.digest).decode(),
        }

    @classmethod
    def of_json(cls, value: Json) -> "Description":
        place = Place(value["id"], base64.b64decode(value["salt"]), value["sealed"])
        digest = base64.b64decode(value["digest"])
        return cls(place, value["decoded"], value["size"], value["length"], digest)


class Attachment(Attached):
    """A piece of data that is sealed, pending or live. No dataclass: JSON has a place for those."""

    __slots__ = ("_attachments", "description", "key")

    def __init__(self, attachments: "Attachments", description: Description, key: KeyId) -> None:
        self._attachments, self.description, self.key = attachments, description, key

    @property
    def size(self) -> int:
        return self.description.size

    @property
    def length(self) -> int:
        return self.description.length

    def text(self) -> AsyncIterator[bytes]:
        sealed = self._attachments.read(self, 0, self.description.place.length)
        return base64_text.encoded(sealed) if self.description.decoded else base64_text.escaped(sealed)

    def data(self, start: int, stop: int) -> AsyncIterator[bytes]:
        if self.description.decoded:
            return self._attachments.read(self, start, stop)
        sealed = self._attachments.read(self, 0, self.description.place.length)
        return base64_text.decoded(sealed, start, stop)


class Attachments:
    """Of one clinic, on MongoDB."""

    def __init__(
        self, collections: Collections, keyring: Keyring, chunks: Chunks, clock: Clock, new_bytes: NewBytes
    ) -> None:
        self._rows, self._chunks = collections.attachments, chunks
        self._keyring, self._clock, self._new_bytes = keyring, clock, new_bytes

    async def put(self, plain: Plain, owner: ResourceKey, key: DataKey) -> Attachment:
        """Seal and keep as *pending*. The row comes first, so that nothing is left over that no sweep would find."""
        place = Place(random_id(), self._new_bytes(SALT_BYTES), len(plain.content))
        row = {
            "_id": place.id,
            "owner": str(owner),
            "state": PENDING,
            "since": self._clock.now(),
            "key": key.id,
        }
        with seam():
            await self._rows.insert_one(row)
        try:
            await self._chunks.pour(place, key, plain.parts())
        except Exception:
            await self.discard([place.id])
            raise
        return Attachment(self, Description(place, plain.decoded, plain.size, plain.length, plain.digest), key.id)

    def described(self, value: Json, key: KeyId) -> Attachment:
        """What the seal under this key describes."""
        return Attachment(self, Description.of_json(value), key)

    async def read(self, attachment: Attachment, start: int, stop: int) -> AsyncIterator[bytes]:
        """What was sealed, from `start` up to `stop`. The key is asked for anew by each reader."""
        keys = await self._keyring.open_keys([attachment.key])
        if attachment.key not in keys:
            raise GoneError("The data was destroyed.")
        place, key = attachment.description.place, keys[attachment.key]
        async for part in self._chunks.read(place, key, start, stop, _FETCHED_TOGETHER):
            yield part
            start += len(part)
        if start < stop:
            raise UnavailableError("Stored data is not there: it was deleted outside this server.")

    async def discard(self, ids: Iterable[str]) -> None:
        """Delete what is still pending: the write that brought it failed. What became live stays."""
        for id in ids:
            with seam():
                # From here on no commit can make it live; and one that did is not undone.
                await self._rows.update_one({"_id": id, "state": PENDING}, {"$set": {"state": CONDEMNED}})
                if await self._rows.find_one({"_id": id, "state": LIVE}, {"_id": 1}) is None:
                    await self._delete(id)

    async def sweep(self) -> int:
        """Delete what was taken in and never committed. How many?"""
        with seam():
            before = {"state": {"$in": [CONDEMNED, PENDING]}, "since": {"$lt": self._clock.now() - _PENDING_AT_MOST}}
            found = await self._rows.find(before, {"_id": 1}).to_list(_SWEPT_AT_ONCE)
        await self.discard(row["_id"] for row in found)
        return len(found)

    async def erase(self, keys: Collection[KeyId]) -> int:
        """Delete whatever these keys sealed. They are destroyed before: that is what makes it unreadable. How many?"""
        with seam():
            found = await self._rows.find({"key": {"$in": list(keys)}}, {"_id": 1}).to_list(None)
            for row in found:
                await self._delete(row["_id"])
        return len(found)

    async def _delete(self, id: str) -> None:
        """The row goes last: as long as it is there, the chunks are found again."""
        await self._chunks.delete(id)
        await self._rows.delete_one({"_id": id})
