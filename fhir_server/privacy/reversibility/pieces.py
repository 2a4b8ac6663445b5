"""The pieces of an archive, one after another, read in a thread; and what becomes of them on one way through.

HDS certification referential (2024), requirement 27.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

from fhir_server.crypto.errors import ArchiveError
from fhir_server.privacy.reversibility.reading import Piece, Reading

_MOST_FILE = 256 << 20
"""Of lines, which are in memory together. Photos are not."""


@dataclass(slots=True)
class Taken:
    """How much came with an archive, and how much of that was not here yet."""

    versions: int = 0
    photos: int = 0
    new_versions: int = 0
    new_photos: int = 0


class Way:
    """One way through; on the first nothing is written."""

    def __init__(self, reading: Reading, *, writes: bool) -> None:
        self.reading, self.writes, self.taken = reading, writes, Taken()
        self._pieces = reading.pieces()

    async def next(self) -> Piece | None:
        return await asyncio.to_thread(next, self._pieces, None)

    async def content(self, piece: Piece) -> bytes:
        """Of a file of which this is the first piece."""
        found = bytearray(piece.plain)
        while not piece.final:
            piece = await self._following()
            if piece.size > _MOST_FILE:
                raise ArchiveError(f"{piece.name}: it is too long.")
            found += piece.plain
        return bytes(found)

    async def parts(self, piece: Piece, ended: "Ended") -> AsyncIterator[bytes]:
        """The same, some at a time."""
        yield piece.plain
        while not piece.final:
            piece = await self._following()
            yield piece.plain
        ended.piece = piece

    async def _following(self) -> Piece:
        found = await self.next()
        assert found is not None, "an archive that ends within a file is refused where it is read"
        return found


@dataclass(slots=True)
class Ended:
    """The last piece of a file, once it was read."""

    piece: Piece | None = None
