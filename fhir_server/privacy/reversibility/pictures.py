"""Photos that come with a migration: compared with those that are here, or kept under the ids that they had.

HDS certification referential (2024), requirement 27.
"""

import hashlib

from fhir_server.crypto.errors import ArchiveError
from fhir_server.media.ports import CONDEMNED, DESTROYED, LIVE, Photo
from fhir_server.privacy.reversibility.lines import Picture, picture_of
from fhir_server.privacy.reversibility.members import file_line
from fhir_server.privacy.reversibility.pieces import Ended, Way
from fhir_server.privacy.reversibility.ports import Arriving, Parts
from fhir_server.privacy.reversibility.reading import Piece


class Pictures:
    def __init__(self, photos: Arriving) -> None:
        self._photos = photos

    async def take(self, way: Way, first: Piece) -> None:
        """The two files of a photo, of which this is the first piece. Raises ArchiveError where another is here."""
        picture = picture_of(await way.content(first))
        begin = await way.next()
        if begin is None or f"{begin.name}.json" != first.name:
            raise ArchiveError(f"{first.name}: the bytes of the photo do not follow it.")
        here, ended = await self._photos.find(picture.id), Ended()
        parts = Parts(picture.length, way.parts(begin, ended))
        if way.writes and (here is None or here.state != LIVE):
            await self._photos.arrive(picture.id, picture.owner, picture.subjects, picture.media_type, parts)
            way.taken.new_photos += 1
        else:
            async for _ in parts.bytes:
                pass
        assert ended.piece is not None, "all of it was read"
        if ended.piece.size != picture.length:
            raise ArchiveError(f"{begin.name}: it has another length than its description says.")
        if here is not None and not way.writes:
            await self._compare(here, picture, ended.piece.sha256)
        way.taken.photos += 1
        way.reading.photos.add(file_line(picture.id, ended.piece.size, ended.piece.sha256))

    async def _compare(self, here: Photo, picture: Picture, sha256: str) -> None:
        if here.state in {CONDEMNED, DESTROYED}:
            raise ArchiveError(f"The photo {picture.id} was here and was destroyed.")
        if here.state != LIVE:
            return  # What an earlier try left: it goes when the photo comes.
        digest = hashlib.sha256()
        async for part in self._photos.stream(here, 0, here.length):
            digest.update(part)
        found = Picture(here.id, here.owner, here.subjects, here.media_type, here.length)
        if (found, digest.hexdigest()) != (picture, sha256):
            raise ArchiveError(f"Another photo is here under the id {picture.id}.")
