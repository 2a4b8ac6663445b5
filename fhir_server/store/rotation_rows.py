"""Which destroyed keys each rotation of the root makes unrecoverable, and whether that was told: numbers alone.

sealed-storage section 3. A row is a version of the root key. `destroyed` is how long the list of destroyed keys was
before that version was made: of those, copies of the keys are wrapped under older versions alone. `final` is when these
were gone.
"""

from collections import defaultdict
from datetime import datetime

from pymongo import ASCENDING, DESCENDING

from fhir_server.privacy.ports import Final, Hindrance, Rotation
from fhir_server.store.collections import Collections
from fhir_server.store.connection import seam
from fhir_server.store.keys import Keys

_HINDRANCE = "hindrance"
"""The id of the one row that is no version. Comparisons with numbers pass it by."""


class RotationRows:
    """privacy.ports.Rotations on MongoDB."""

    def __init__(self, collections: Collections, keys: Keys) -> None:
        self._rows, self._keys = collections.rotations, keys

    async def length(self) -> int:
        return (await self._keys.tally()).count

    async def waiting(self) -> datetime | None:
        with seam():
            ended = await self._rows.find_one({"final": {"$ne": None}}, sort=[("_id", DESCENDING)])
        done = ended["destroyed"] if ended else 0
        first = await self._keys.listed(done, done + 1)
        return first[0].instant if first else None

    async def hindered(self, by: Hindrance | None) -> None:
        with seam():
            if by is None:
                await self._rows.delete_one({"_id": _HINDRANCE})
            else:
                row = {"on": by.on, "says": by.says}
                await self._rows.replace_one({"_id": _HINDRANCE}, row, upsert=True)

    async def hindrance(self) -> Hindrance | None:
        with seam():
            found = await self._rows.find_one({"_id": _HINDRANCE})
        return Hindrance(found["on"], found["says"]) if found else None

    async def begin(self, version: int, length: int) -> None:
        with seam():
            await self._rows.update_one({"_id": version}, {"$setOnInsert": {"destroyed": length}}, upsert=True)

    async def end(self, version: int, final: datetime) -> None:
        with seam():
            await self._rows.update_many({"_id": {"$lte": version}, "final": None}, {"$set": {"final": final}})

    async def untold(self, now: datetime) -> Rotation | None:
        with seam():
            found = await self._rows.find_one({"final": {"$lte": now}, "told": None}, sort=[("_id", ASCENDING)])
            if found is None:
                return None
            before = await self._rows.find_one({"_id": {"$lt": found["_id"]}}, sort=[("_id", DESCENDING)])
        causes = defaultdict(list)
        for entry in await self._keys.listed(before["destroyed"] if before else 0, found["destroyed"]):
            causes[entry.reason].append(bytes(entry.key_id))
        finals = [Final(cause, tuple(keys), found["final"]) for cause, keys in causes.items()]
        return Rotation(found["_id"], tuple(finals))

    async def told(self, version: int) -> None:
        with seam():
            await self._rows.update_one({"_id": version}, {"$set": {"told": True}})
