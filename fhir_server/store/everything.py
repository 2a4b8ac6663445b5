"""All that a clinic stores, one thing after another in a fixed order: what a reversibility archive is made of.

HDS certification referential (2024), requirement 27. Rows are listed by place first and fetched some at a time, so that
little is in memory however many there are.
"""

from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple

from fhir_server.engine.ports import Head
from fhir_server.engine.stored import Stored
from fhir_server.export.job import RUN_EXPORT
from fhir_server.kernel.clock import microseconds
from fhir_server.media.ports import LIVE, Photo
from fhir_server.store.collections import Collections
from fhir_server.store.connection import Document, seam
from fhir_server.store.documents import UNSEARCHED
from fhir_server.store.heads import HeadRows
from fhir_server.store.opening import Opening
from fhir_server.store.photos import Photos

_LISTED_TOGETHER = 200
_OPENED_TOGETHER = 25
_HEADS_TOGETHER = 1_000
_PLACE = {"type": 1, "id": 1, "version": 1, "seq": 1}


class _Place(NamedTuple):
    """In the order of the list: `Type/id` sorts as type and id do, for a slash sorts before any letter."""

    row: str
    version: int
    seq: int

    @property
    def earlier(self) -> str:
        return f"{self.row}/_history/{self.version}"


class Everything:
    """privacy.reversibility.ports.Everything on MongoDB."""

    def __init__(self, collections: Collections, opening: Opening, photos: Photos, heads: HeadRows) -> None:
        self._to, self._opening, self._photos, self._heads = collections, opening, photos, heads

    async def versions(self, until: int) -> AsyncIterator[Sequence[Stored]]:
        after = ""
        while True:
            with seam():
                cursor = self._to.resources.find({"_id": {"$gt": after}}, _PLACE, hint="_id_").sort("_id", 1)
                current = await cursor.limit(_LISTED_TOGETHER).to_list(None)
            if not current:
                return
            after = current[-1]["_id"]
            places = [one for one in await self._places(current) if one.seq <= until]
            for at in range(0, len(places), _OPENED_TOGETHER):
                yield await self._opened(places[at : at + _OPENED_TOGETHER])

    async def photos(self, until: int) -> AsyncIterator[Photo]:
        after = ""
        while True:
            with seam():
                cursor = self._to.photos.find({"_id": {"$gt": after}}, {"state": 1, "since": 1}, hint="_id_")
                found = await cursor.sort("_id", 1).limit(_LISTED_TOGETHER).to_list(None)
            if not found:
                return
            after = found[-1]["_id"]
            for row in found:
                if row["state"] == LIVE and microseconds(row["since"]) <= until:
                    photo = await self._photos.find(row["_id"])
                    if photo is not None and photo.state == LIVE:
                        yield photo

    def bytes_of(self, photo: Photo) -> AsyncIterator[bytes]:
        return self._photos.stream(photo, 0, photo.length)

    async def heads(self) -> AsyncIterator[Sequence[Head]]:
        after = ""
        while True:
            with seam():
                cursor = self._to.heads.find({"_id": {"$gt": after}}, {"_id": 1}, hint="_id_").sort("_id", 1)
                found = [row["_id"] for row in await cursor.limit(_HEADS_TOGETHER).to_list(None)]
            if not found:
                return
            after = found[-1]
            heads = await self._heads.heads(found)
            yield [heads[patient] for patient in found if patient in heads]

    async def unfinished(self) -> int:
        with seam():
            return await self._to.tasks.count_documents({"name": {"$ne": RUN_EXPORT}})

    async def _places(self, current: Sequence[Document]) -> list[_Place]:
        """Of these resources every version, each once: one that was replaced between two looks is found by both."""
        spans = [{"_id": {"$gt": f"{row['_id']}/_history/", "$lt": f"{row['_id']}/_history0"}} for row in current]
        with seam():
            earlier = await self._to.history.find({"$or": spans}, _PLACE).to_list(None)
        found = {_Place(f"{row['type']}/{row['id']}", int(row["version"]), int(row["seq"])) for row in current}
        found |= {_Place(f"{row['type']}/{row['id']}", int(row["version"]), int(row["seq"])) for row in earlier}
        return sorted(found)

    async def _opened(self, places: Sequence[_Place]) -> list[Stored]:
        """Those whose keys were not destroyed."""
        with seam():
            rows = await self._to.resources.find({"_id": {"$in": [one.row for one in places]}}, UNSEARCHED).to_list(
                None
            )
            rows += await self._to.history.find({"_id": {"$in": [one.earlier for one in places]}}).to_list(None)
        wanted = {(one.row, one.version) for one in places}
        some = {(f"{row['type']}/{row['id']}", int(row["version"])): row for row in rows}
        kept = [row for place, row in sorted(some.items()) if place in wanted]
        return await self._opening.rows(kept)
