"""The tree of the log in the database: tiles, which events its leaves are, and every checkpoint.

sealed-storage section 6. A checkpoint's id is the size that it extends: a second one that extends the same collides.
Its row brings the rest along until that lies in its place: no transaction, which a killed process would leave open.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from pymongo import ASCENDING, DESCENDING, InsertOne, UpdateOne
from pymongo.errors import BulkWriteError, DuplicateKeyError

from fhir_server.crypto.tree import TileId
from fhir_server.store.collections import Collections
from fhir_server.store.connection import Document, is_only_duplicates, seam
from fhir_server.store.lanes import SETTLE


class Run(NamedTuple):
    """The leaves from `start` on are the events `first`, `first + 1` … of a writer."""

    start: int
    writer: str
    first: int
    length: int

    @property
    def last(self) -> int:
        return self.first + self.length - 1


class OvertakenError(Exception):
    """Somebody else extended the log at the same time; nothing was written."""


class TreeRows:
    """The part of the log that holds no event."""

    def __init__(self, collections: Collections) -> None:
        self._to = collections

    async def newest(self) -> str | None:
        with seam():
            found = await self._to.checkpoints.find_one({"runs": {"$exists": False}}, sort=[("_id", DESCENDING)])
        return str(found["note"]) if found else None

    async def signed_at(self, size: int) -> str | None:
        with seam():
            found = await self._to.checkpoints.find_one({"size": size})
        return str(found["note"]) if found else None

    async def tiles(self, ids: Collection[TileId]) -> Mapping[TileId, bytes]:
        if not ids:
            return {}
        places = {_place(id): id for id in ids}
        with seam():
            found = await self._to.tiles.find({"_id": {"$in": list(places)}}).to_list(None)
        return {places[row["_id"]]: bytes(row["hashes"]) for row in found}

    async def index_of(self, writer: str, number: int) -> int | None:
        """The leaf that an event is."""
        with seam():
            found = await self._to.runs.find_one({"w": writer, "first": {"$lte": number}}, sort=[("first", DESCENDING)])
        if found is None or number > _run(found).last:
            return None
        return int(found["_id"]) + number - int(found["first"])

    async def runs(self, start: int, limit: int) -> list[Run]:
        """From the one that begins at a leaf, or after it, in the order of the tree."""
        with seam():
            found = await self._to.runs.find({"_id": {"$gte": start}}).sort("_id", ASCENDING).to_list(limit)
        return [_run(row) for row in found]

    async def run_at(self, index: int) -> Run | None:
        """The run in which a leaf lies."""
        with seam():
            found = await self._to.runs.find_one({"_id": {"$lte": index}}, sort=[("_id", DESCENDING)])
        run = _run(found) if found else None
        return run if run and index < run.start + run.length else None

    async def append(self, old: int, new: int, note: str, runs: Sequence[Run], tiles: Mapping[TileId, bytes]) -> None:
        """Extend the log: one insert decides. Raises OvertakenError where somebody else extended it."""
        grown = [[_place(id), hashes] for id, hashes in tiles.items()]
        row: Document = {"_id": old, "size": new, "note": note, "runs": [list(run) for run in runs], "tiles": grown}
        with seam():
            try:
                await self._to.checkpoints.insert_one(row)
            except DuplicateKeyError:
                raise OvertakenError from None
            await self._spread(row)

    async def settle(self) -> None:
        """Finish what somebody began who was killed."""
        with seam():
            row = await self._to.checkpoints.find_one({}, sort=[("_id", DESCENDING)])
            if row and "runs" in row:
                await self._spread(row)

    async def _spread(self, row: Document) -> None:
        """From the checkpoint's row to where it is looked for. Any number may do it, at any time, in any order."""
        runs = [Run(*run) for run in row["runs"]]
        tiles = [
            UpdateOne(
                {"_id": place, "length": {"$lt": len(hashes)}},
                {"$set": {"hashes": hashes, "length": len(hashes)}},
                upsert=True,
            )
            for place, hashes in row["tiles"]
        ]
        moved = [
            UpdateOne({"_id": run.writer}, [{"$set": {"sequenced": {"$max": ["$sequenced", run.last]}}}, *SETTLE])
            for run in runs
        ]
        for collection, operations in (
            (self._to.tiles, tiles),
            (self._to.runs, [InsertOne(_row(run)) for run in runs]),
            (self._to.writers, moved),
        ):
            try:
                await collection.bulk_write(operations, ordered=False)
            except BulkWriteError as error:
                if not is_only_duplicates(error):
                    raise
        await self._to.checkpoints.update_one({"_id": row["_id"]}, {"$unset": {"runs": True, "tiles": True}})


def _place(id: TileId) -> str:
    return f"{id.level}/{id.number}"


def _row(run: Run) -> Document:
    return {"_id": run.start, "w": run.writer, "first": run.first, "n": run.length}


def _run(row: Document) -> Run:
    return Run(int(row["_id"]), row["w"], int(row["first"]), int(row["n"]))
