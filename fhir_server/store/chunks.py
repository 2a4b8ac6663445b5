"""Sealed chunks as the database keeps them: several to a document, so that a range opens few and a whole asks for few.

sealed-storage section 5: chunks of 64 KiB, 4 to 16 of them per stored document.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from fhir_server.crypto.blob import CHUNK, Blob, chunk_count, chunks_for
from fhir_server.crypto.errors import OpeningError
from fhir_server.crypto.keys import DataKey
from fhir_server.kernel.errors import ConflictError, UnavailableError
from fhir_server.store.collections import Collections
from fhir_server.store.connection import Document, seam

_CHUNKS_PER_DOCUMENT = 4
STEP = _CHUNKS_PER_DOCUMENT * CHUNK
"""What one stored document holds."""
POURED_TOGETHER = 16 * STEP
_DELETED_TOGETHER = 100
_SENT_TOGETHER = 32
"""Documents: 8 MiB, and as much that is sealed meanwhile. More would lie in memory for nothing."""


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

    async def write(self, place: Place, key: DataKey, parts: Iterable[bytes]) -> None:
        """Seal bytes that come in parts of any size. The salt must be fresh, or GCM is broken."""
        numbered = enumerate(Blob(key, place.salt, self._clinic, place.id).seal(parts))
        documents = await asyncio.to_thread(_next, place.id, numbered)
        while documents:
            with seam():
                _, documents = await asyncio.gather(
                    self._rows.insert_many(documents), asyncio.to_thread(_next, place.id, numbered)
                )

    async def pour(self, place: Place, key: DataKey, parts: AsyncIterator[bytes]) -> None:
        """The same of bytes that come in parts over time; there must be exactly as many as the place says."""
        blob, number, rest = Blob(key, place.salt, self._clinic, place.id), 0, bytearray()
        async for part in parts:
            rest += part
            while len(rest) > POURED_TOGETHER:
                await self._insert(place, blob, number, bytes(rest[:POURED_TOGETHER]))
                number += POURED_TOGETHER // STEP
                del rest[:POURED_TOGETHER]
        if number * STEP + len(rest) != place.length:
            raise UnavailableError("The bytes are not as many as they were said to be.")
        await self._insert(place, blob, number, bytes(rest))

    async def _insert(self, place: Place, blob: Blob, number: int, plain: bytes) -> None:
        documents = await asyncio.to_thread(_sealed, place, blob, number, plain)
        with seam():
            await self._rows.insert_many(documents)

    async def put(self, place: Place, key: DataKey, number: int, plain: bytes) -> None:
        """Whole stored documents from this number on, or up to the end. What lies there already must be the same.

        Raises ConflictError where it is not: a chunk is never sealed twice with other bytes.
        """
        blob = Blob(key, place.salt, self._clinic, place.id)
        count = -(-len(plain) // STEP)
        ids = [f"{place.id}/{number + index}" for index in range(count)]
        with seam():
            there = {row["_id"]: row["chunks"] async for row in self._rows.find({"_id": {"$in": ids}})}
        for index, id in enumerate(ids):
            piece = plain[index * STEP : (index + 1) * STEP]
            if id in there:
                begin = (number + index) * STEP
                if _opened(there[id], blob, begin, begin + len(piece), place.length) != piece:
                    raise ConflictError("Other bytes were sent for this place before.")
            else:
                await self._insert(place, blob, number + index, piece)

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
            with seam():
                found = {row["_id"]: row["chunks"] async for row in self._rows.find({"_id": {"$in": ids}})}
            for id, (_, begin, end) in zip(ids, ahead, strict=True):
                if id not in found:
                    return
                yield await asyncio.to_thread(_opened, found.pop(id), blob, begin, end, place.length)

    async def delete(self, *ids: str) -> None:
        for first in range(0, len(ids), _DELETED_TOGETHER):
            spans = [{"_id": {"$gte": f"{id}/", "$lt": f"{id}0"}} for id in ids[first : first + _DELETED_TOGETHER]]
            with seam():
                await self._rows.delete_many({"$or": spans})


def _sealed(place: Place, blob: Blob, number: int, plain: bytes) -> list[Document]:
    """Stored documents from this number on; the blob's last chunk is told by its length."""
    last = chunk_count(place.length) - 1
    found: list[Document] = []
    for begin in range(0, max(1, len(plain)), STEP):
        first = number * _CHUNKS_PER_DOCUMENT
        inside = plain[begin : begin + STEP]
        chunks = [
            blob.seal_chunk(first + index, inside[at : at + CHUNK], final=first + index == last)
            for index, at in enumerate(range(0, max(1, len(inside)), CHUNK))
        ]
        found.append({"_id": f"{place.id}/{number}", "chunks": chunks})
        number += 1
    return found


def _next(id: str, numbered: Iterator[tuple[int, bytes]]) -> list[Document]:
    """The next stored documents; none at the end."""
    sealed = list(islice(numbered, _SENT_TOGETHER * _CHUNKS_PER_DOCUMENT))
    return [
        {
            "_id": f"{id}/{sealed[first][0] // _CHUNKS_PER_DOCUMENT}",
            "chunks": [chunk for _, chunk in sealed[first : first + _CHUNKS_PER_DOCUMENT]],
        }
        for first in range(0, len(sealed), _CHUNKS_PER_DOCUMENT)
    ]


def _opened(chunks: list[bytes], blob: Blob, start: int, stop: int, length: int) -> bytes:
    span = chunks_for(start, stop, length)
    try:
        mine = [chunks[number % _CHUNKS_PER_DOCUMENT] for number in span.numbers]
        return b"".join(blob.open(mine, span))
    except (OpeningError, IndexError):
        raise UnavailableError(
            "Stored bytes do not open: they are damaged or were changed outside this server."
        ) from None
