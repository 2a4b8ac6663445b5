"""A PhotoVault in memory. Bytes lie there in plain; a destroyed photo has none."""

from collections.abc import AsyncGenerator, AsyncIterator, Collection, Sequence
from dataclasses import replace
from functools import partial

from fhir_server.kernel.errors import GoneError, UnavailableError
from fhir_server.kernel.identity import ResourceKey
from fhir_server.media.ports import CONDEMNED, DESTROYED, LIVE, PENDING, WITHIN, Kept, Photo, Reading
from tests.fakes.memory import Memory

PART = 64 * 1024


class FakePhotos:
    """`failures`: how many of the next destructions fail after the bytes are gone."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self.failures: list[Exception] = []

    async def put(self, data: bytes, media_type: str, owner: ResourceKey, subjects: tuple[str, ...]) -> Photo:
        number = len(self._memory.photos) + 1
        key, salt = number.to_bytes(16), number.to_bytes(32)
        now = self._memory.clock.now()
        photo = Photo(f"photo{number}", owner, subjects, PENDING, media_type, len(data), key, salt, now)
        self._memory.photos[photo.id] = photo
        self._memory.bytes_of[photo.id] = data
        return photo

    async def pour(
        self, parts: AsyncIterator[bytes], length: int, media_type: str, owner: ResourceKey, subjects: tuple[str, ...]
    ) -> Photo:
        data = b"".join([part async for part in parts])
        if len(data) != length:
            raise UnavailableError("The bytes are not as many as they were said to be.")
        return await self.put(data, media_type, owner, subjects)

    async def find(self, photo_id: str) -> Photo | None:
        return self._memory.photos.get(photo_id)

    async def look(self, photo_id: str) -> Kept | None:
        photo = self._memory.photos.get(photo_id)
        return (
            Kept(photo.id, photo.owner, photo.subjects, photo.state, partial(self._reading, photo)) if photo else None
        )

    async def _reading(self, photo: Photo) -> Reading:
        self._require_bytes(photo)
        return Reading(photo, partial(self.stream, photo))

    async def of_patient(self, patient: str, states: Collection[str]) -> list[Photo]:
        return [photo for photo in self._memory.photos.values() if patient in photo.subjects and photo.state in states]

    async def stream(self, photo: Photo, start: int, stop: int) -> AsyncGenerator[bytes, None]:
        while start < stop:
            self._require_bytes(photo)
            until = min(stop, start + PART)
            yield self._memory.bytes_of[photo.id][start:until]
            start = until

    def _require_bytes(self, photo: Photo) -> None:
        if photo.id not in self._memory.bytes_of:
            raise GoneError("The photo was destroyed.")

    async def condemn(self, photo: Photo) -> None:
        self._move(photo, LIVE, CONDEMNED)

    async def condemn_within(self, owner: ResourceKey, subjects: tuple[str, ...], key: bytes) -> None:
        id = f"{WITHIN}{key.hex()}"
        photo = Photo(id, owner, subjects, CONDEMNED, "", 0, key, b"", self._memory.clock.now())
        self._memory.photos.setdefault(id, photo)

    async def discard(self, photo: Photo) -> None:
        if self._memory.photos[photo.id].state == PENDING:
            self._move(photo, PENDING, CONDEMNED)
            await self.destroy([photo], "never committed")
            del self._memory.photos[photo.id]

    async def destroy(self, photos: Sequence[Photo], reason: str) -> None:
        for photo in photos:
            self._destroy(photo, reason)

    def _destroy(self, photo: Photo, reason: str) -> None:
        self._memory.bytes_of.pop(photo.id, None)
        if self.failures:
            raise self.failures.pop()
        if self._memory.photos[photo.id].state == CONDEMNED:
            emptied = replace(self._memory.photos[photo.id], media_type="", length=0, reason=reason)
            self._memory.photos[photo.id] = emptied
            self._move(photo, CONDEMNED, DESTROYED)

    def _move(self, photo: Photo, before: str, after: str) -> None:
        found = self._memory.photos[photo.id]
        if found.state == before:
            self._memory.photos[photo.id] = replace(found, state=after, since=self._memory.clock.now())
