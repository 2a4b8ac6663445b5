"""From the pieces of a backup back to rows, each compared with the manifest on its way and once more where it lies.

S63: the first difference is named, by collection and piece, never by content.
"""

import asyncio
from collections.abc import Iterator
from contextlib import aclosing

from bson.errors import InvalidBSON
from bson.raw_bson import RawBSONDocument
from pymongo.asynchronous.database import AsyncDatabase

from fhir_server.crypto.archive import Archive
from fhir_server.crypto.errors import ArchiveError
from fhir_server.store.backup import rows
from fhir_server.store.backup.folder import Folder
from fhir_server.store.backup.manifest import EMPTY, Part, chained
from fhir_server.store.connection import Document, seam

_ROWS_AT_ONCE = 500


async def load(folder: Folder, archive: Archive, part: Part, database: AsyncDatabase[Document]) -> None:
    """Into a collection that is empty. Raises ArchiveError for the first thing that is not as the manifest says."""
    digest, count = EMPTY, 0
    with seam():
        await database.create_collection(part.name)
    for number in range(part.pieces):
        plain = await asyncio.to_thread(_piece, folder, archive, part, number)
        try:
            found = rows.split(plain)
        except InvalidBSON:
            raise ArchiveError(f"{part.name}, piece {number}: it holds no rows.") from None
        for row in found:
            digest, count = chained(digest, bytes(row.raw)), count + 1
        for some in _some(found):
            with seam():
                await database.get_collection(part.name).insert_many(some, ordered=False)
    _compare(part, count, digest, "in the backup")


async def compare(part: Part, database: AsyncDatabase[Document]) -> None:
    """Reads the rows again, from where they lie now."""
    digest, count = EMPTY, 0
    async with aclosing(rows.rows(database, part.name)) as found:
        async for row in found:
            digest, count = chained(digest, row), count + 1
    _compare(part, count, digest, "after it was restored")


def _piece(folder: Folder, archive: Archive, part: Part, number: int) -> bytes:
    return archive.open(part.name, number, folder.piece(part.name, number), final=number == part.pieces - 1)


def _some(found: list[RawBSONDocument]) -> Iterator[list[RawBSONDocument]]:
    for at in range(0, len(found), _ROWS_AT_ONCE):
        yield found[at : at + _ROWS_AT_ONCE]


def _compare(part: Part, count: int, digest: bytes, where: str) -> None:
    if count != part.rows:
        raise ArchiveError(f"{part.name}: {count} rows {where}, {part.rows} in the manifest.")
    if digest.hex() != part.digest:
        raise ArchiveError(f"{part.name}: its rows {where} are not those of the manifest.")
