"""Versions in the order in which they were made, newest first: of one resource, of a type, of all.

https://hl7.org/fhir/R4/http.html#history. Current and earlier versions lie in two collections; this merges the two.
"""

from collections.abc import Collection

from pymongo import DESCENDING

from fhir_server.engine.position import Position
from fhir_server.engine.stored import Stored
from fhir_server.engine.window import Window
from fhir_server.store.collections import Collections
from fhir_server.store.connection import Document, seam
from fhir_server.store.documents import UNSEARCHED
from fhir_server.store.opening import Opening

_MOST_AT_ONE_INSTANT = 16
"""Versions of one seq, each made by another process: their order is decided here, so all of them are fetched."""


class History:
    def __init__(self, collections: Collections, opening: Opening) -> None:
        self._current, self._earlier, self._opening = collections.resources, collections.history, opening

    async def versions(
        self, types: Collection[str], id: str | None, window: Window, before: Position | None, limit: int
    ) -> list[Stored]:
        """Up to `limit` versions, newest first. An `id` goes with exactly one type."""
        kept: list[Stored] = []
        while True:
            found = await self._merged(types, id, window, before, limit)
            # A row whose key was destroyed does not open: the page goes on behind it, the history does not end there.
            kept += await self._opening.rows(found)
            if len(kept) >= limit or len(found) < limit:
                return kept[:limit]
            before = Position(*_place(found[-1]))

    async def _merged(
        self, types: Collection[str], id: str | None, window: Window, before: Position | None, limit: int
    ) -> list[Document]:
        """The next rows of both collections in one order, not opened."""
        bounds: Document = {"type": {"$in": sorted(types)}, "seq": _seq(window, before)}
        earlier = {**bounds, **({"until": {"$gt": window.at[0]}} if window.at else {})}
        current, hint = bounds, "changes"
        if id:
            # One resource's versions are a few, whose ids begin alike ("0" is the character after "/"). Without an id
            # the order of the index is the order asked for.
            key, hint = f"{next(iter(types))}/{id}", "_id_"
            current = {**bounds, "_id": key}
            earlier["_id"] = {"$gt": f"{key}/_history/", "$lt": f"{key}/_history0"}
        order, most = [("seq", DESCENDING)], limit + _MOST_AT_ONE_INSTANT
        with seam():
            found = await self._current.find(current, UNSEARCHED, hint=hint).sort(order).limit(most).to_list(None)
            found += await self._earlier.find(earlier, hint=hint).sort(order).limit(most).to_list(None)
        # A version that was replaced between the two looks is found by both.
        rows = {_place(row): row for row in found if before is None or _place(row) < (before.seq, before.id)}
        return [rows[place] for place in sorted(rows, reverse=True)[:limit]]


def _seq(window: Window, before: Position | None) -> Document:
    """A lastUpdated is written to the millisecond, so a bound that is given to the millisecond includes all of it."""
    bounds: Document = {"$gte": 0}
    if window.since is not None:
        bounds["$gte"] = window.since // 1000 * 1000
    if window.at:
        bounds["$lt"] = window.at[1]
    if before:
        bounds["$lte"] = before.seq
    return bounds


def _place(row: Document) -> tuple[int, str]:
    return int(row["seq"]), f"{row['type']}/{row['id']}/{row['version']}"
