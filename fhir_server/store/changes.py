"""What changed after a point, oldest first, looked at without opening it; and what was chosen of that, opened.

Architecture section 4: `seq` orders what was written. Current and earlier versions lie in two collections.
"""

from collections.abc import Collection, Mapping, Sequence

from pymongo import ASCENDING

from fhir_server.engine.stored import Stored
from fhir_server.kernel.identity import ResourceKey
from fhir_server.store.collections import Collections
from fhir_server.store.connection import Document, seam
from fhir_server.store.documents import UNSEARCHED
from fhir_server.store.opening import Opening
from fhir_server.subscriptions.ports import Place

_PLACE = {"_id": False, "type": True, "id": True, "version": True, "seq": True, "deleted": True}
_MOST_AT_ONE_INSTANT = 16
"""Versions of one seq, each made by another process: their order is decided here, so all of them are fetched."""


class ChangedRows:
    def __init__(self, collections: Collections, opening: Opening) -> None:
        self._current, self._earlier, self._opening = collections.resources, collections.history, opening

    async def current(self, type: str) -> Mapping[str, int]:
        """The version of each resource of a type that is there, by id."""
        with seam():
            found = await self._current.find({"type": type, "deleted": False}, _PLACE, hint="changes").to_list(None)
        return {row["id"]: int(row["version"]) for row in found}

    async def since(self, type: str, seq: int, after: Place | None, limit: int) -> Sequence[Place]:
        from_here: Document = {"$gt": seq} if after is None else {"$gt": seq, "$gte": after.seq}
        wanted, order = {"type": type, "seq": from_here}, [("seq", ASCENDING)]
        most = limit + _MOST_AT_ONE_INSTANT
        with seam():
            # The current ones first: what is replaced between the two looks is then found by the second, too.
            found = await self._current.find(wanted, _PLACE, hint="changes").sort(order).limit(most).to_list(None)
            found += await self._earlier.find(wanted, _PLACE, hint="changes").sort(order).limit(most).to_list(None)
        places = sorted({_place(row) for row in found})
        return [place for place in places if after is None or place > after][:limit]

    async def open(self, places: Collection[Place]) -> Mapping[Place, Stored]:
        """Those of them that are still to be had."""
        if not places:
            return {}
        keys = sorted({str(place.key) for place in places})
        versions = sorted(f"{place.key}/_history/{place.version}" for place in places)
        with seam():
            found = await self._current.find({"_id": {"$in": keys}}, UNSEARCHED).to_list(None)
            found += await self._earlier.find({"_id": {"$in": versions}}).to_list(None)
        opened = {(stored.key, stored.version): stored for stored in await self._opening.rows(found)}
        return {place: opened[place.key, place.version] for place in places if (place.key, place.version) in opened}


def _place(row: Document) -> Place:
    return Place(int(row["seq"]), ResourceKey(row["type"], row["id"]), int(row["version"]), bool(row.get("deleted")))
