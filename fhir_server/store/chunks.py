"""Sealed chunks as the database keeps them: several to a document, so that a range opens few and a whole asks for few.

sealed-storage section 5: chunks of 64 KiB, 4 to 16 of them per stored document.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from fhir_server.crypto.blob import CHUNK, Blob, chunks_for
from fhir_server.crypto.errors import OpeningError
from fhir_server.crypto.keys import DataKey
from fhir_server.kernel.errors import ConflictError, UnavailableError
from fhir_server.store.collections import Collections
from fhir_server.store.connection import Document, seam
from fhir_server.store.lookups import Lookups

_CHUNKS_PER_DOCUMENT = 4
STEP = _CHUNKS_PER_DOCUMENT * CHUNK
"""What one stored document holds."""
POURED_TOGETHER = 8 * STEP
_DELETED_TOGETHER = 100
_THUMBNAILS_AT_ONCE = 16
"""Of one chunk each, whoever asks for them: 1 MiB. Longer ones would wait for each other's bytes."""
_UNDER_WAY = 3
"""Stretches of a blob: 6 MiB. More would lie in memory for nothing."""
_NOT_AS_MANY = "The bytes are not as many as they were said to be."


@dataclass(frozen=True, slots=True)
class Place:
    """Where a blob lies. Its length comes from under a seal, never from counting chunks."""

    id: str
    salt: bytes
    length: int


class Chunks:
    """Of every blob of one clinic. Sealing and opening release the interpreter lock, so both run in threads."""

    def __init__(self, collections: Collections, clinic: str) -> None:
        self._rows, self._clinic = collections.chunks, clinic
        self._lookups = Lookups(self._rows, None, most=_THUMBNAILS_AT_ONCE)

    async def pour(
        self, place: Place, key: DataKey, parts: AsyncIterator[bytes], after: "asyncio.Task[None] | None" = None
    ) -> None:
        """Seal bytes that come in parts of any size; there must be exactly as many as the place says.

        `after`: what must be done before any of them is kept, though not before they are sealed. The salt must be
        fresh, or GCM is broken. A few stretches are on their way at once, sealed or sent: each waits for the journal,
        and they wait together.
        """
        blob, at = Blob(key, place.salt, self._clinic, place.id), 0
        under_way: deque[asyncio.Task[None]] = deque()
        try:
            async for plain in _stretches(parts):
                begin, at = at, at + len(plain)
                if at > place.length or (at < place.length and len(plain) < POURED_TOGETHER):
                    raise UnavailableError(_NOT_AS_MANY)
                if len(under_way) == _UNDER_WAY:
                    await _first(under_way)
                under_way.append(asyncio.create_task(self._insert(place, blob, begin // STEP, plain, after)))
            while under_way:
                await _first(under_way)
        finally:
            # What is on its way arrives, lest it should after somebody has deleted all of it.
            await asyncio.gather(*under_way, return_exceptions=True)
        if at != place.length:
            raise UnavailableError(_NOT_AS_MANY)

    async def _insert(
        self, place: Place, blob: Blob, number: int, plain: memoryview, after: "asyncio.Task[None] | None" = None
    ) -> None:
        documents = await asyncio.to_thread(_sealed, place, blob, number, plain)
        if after is not None:
            await after
        with seam():
            await self._rows.insert_many(documents)

    async def put(self, place: Place, key: DataKey, number: int, plain: bytes) -> None:
        """Whole stored documents from this number on, or up to the end. What lies there already must be the same.

        Raises ConflictError where it is not: a chunk is never sealed twice with other bytes.
        """
        blob = Blob(key, place.salt, self._clinic, place.id)
        count = -(-len(plain) // STEP)
        ids = [f"{place.id}/{number + index}" for index in range(count)]
        there = {row["_id"]: row["chunks"] for row in await self._found(ids)}
        for index, id in enumerate(ids):
            piece = plain[index * STEP : (index + 1) * STEP]
            if id in there:
                begin = (number + index) * STEP
                if _opened(there[id], blob, begin, begin + len(piece), place.length) != piece:
                    raise ConflictError("Other bytes were sent for this place before.")
            else:
                await self._insert(place, blob, number + index, memoryview(piece))

    async def read(self, place: Place, key: DataKey, start: int, stop: int, together: int = 1) -> AsyncIterator[bytes]:
        """The bytes from `start` up to `stop`, a stored document at a time; it ends early where they are deleted.

        `together`: how many of these are fetched at once. Where more than one, what was fetched is given even when it
        is deleted meanwhile. Raises UnavailableError where a chunk is not what was sealed there.
        """
        blob = Blob(key, place.salt, self._clinic, place.id)
        spans = [
            (number, max(start, number * STEP), min(stop, (number + 1) * STEP))
            for number in range(start // STEP, -(-stop // STEP))
            if start < stop
        ]
        for first in range(0, len(spans), together):
            ahead = spans[first : first + together]
            ids = [f"{place.id}/{number}" for number, _, _ in ahead]
            found = await self._chunks(ids, place)
            for id, (_, begin, end) in zip(ids, ahead, strict=True):
                if id not in found:
                    return
                yield await _open(found.pop(id), blob, begin, end, place.length)

    async def _chunks(self, ids: Sequence[str], place: Place) -> dict[str, list[bytes]]:
        """By id. Nothing else holds them, so that what was given is not in memory while the next are fetched."""
        rows = await (self._lookups.find_many(ids) if place.length <= CHUNK else self._found(ids))
        return {row["_id"]: row["chunks"] for row in rows}

    async def _found(self, ids: Sequence[str]) -> Sequence[Document]:
        with seam():
            return await self._rows.find({"_id": {"$in": ids}}).to_list(None)

    async def delete(self, *ids: str) -> None:
        for first in range(0, len(ids), _DELETED_TOGETHER):
            spans = [{"_id": {"$gte": f"{id}/", "$lt": f"{id}0"}} for id in ids[first : first + _DELETED_TOGETHER]]
            with seam():
                await self._rows.delete_many({"$or": spans})


async def _stretches(parts: AsyncIterator[bytes]) -> AsyncIterator[memoryview]:
    """The same bytes in stretches of one size, the last as long as it is; what needs no copy is not copied."""
    held: list[memoryview] = []
    length, empty = 0, True
    async for part in parts:
        rest = memoryview(part)
        while length + len(rest) >= POURED_TOGETHER:
            cut = POURED_TOGETHER - length
            yield _joined([*held, rest[:cut]])
            held, length, rest, empty = [], 0, rest[cut:], False
        if rest:
            held.append(rest)
            length += len(rest)
    if held or empty:
        yield _joined(held)


def _joined(views: list[memoryview]) -> memoryview:
    return views[0] if len(views) == 1 else memoryview(b"".join(views))


async def _first(under_way: "deque[asyncio.Task[None]]") -> None:
    """Wait for the oldest; who is cancelled meanwhile does not cancel it."""
    await asyncio.wait([under_way[0]])
    under_way.popleft().result()


def _sealed(place: Place, blob: Blob, number: int, plain: memoryview) -> list[Document]:
    """Stored documents from this number on; the blob's last chunk is told by its length."""
    final = number * STEP + len(plain) >= place.length
    chunks = list(blob.seal(plain, number * _CHUNKS_PER_DOCUMENT, final=final))
    return [
        {"_id": f"{place.id}/{number + index}", "chunks": chunks[at : at + _CHUNKS_PER_DOCUMENT]}
        for index, at in enumerate(range(0, len(chunks), _CHUNKS_PER_DOCUMENT))
    ]


async def _open(chunks: list[bytes], blob: Blob, start: int, stop: int, length: int) -> bytes:
    if stop - start <= CHUNK:
        # A thumbnail opens in less time than a thread takes to begin.
        return _opened(chunks, blob, start, stop, length)
    return await asyncio.to_thread(_opened, chunks, blob, start, stop, length)


def _opened(chunks: list[bytes], blob: Blob, start: int, stop: int, length: int) -> bytes:
    span = chunks_for(start, stop, length)
    try:
        mine = [chunks[number % _CHUNKS_PER_DOCUMENT] for number in span.numbers]
        return b"".join(blob.open(mine, span))
    except (OpeningError, IndexError):
        raise UnavailableError(
            "Stored bytes do not open: they are damaged or were changed outside this server."
        ) from None
