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


class History:
    def __init__(self, collections: Collections, opening: Opening) -> None:
        self._current, self._earlier, self._opening = collections.resources, collections.history, opening

    async def versions(
        self, types: Collection[str], id: str | None, window: Window, before: Position | None, limit: int
    ) -> list[Stored]:
        """Up to `limit` versions, newest first. An `id` goes with exactly one type."""
        bounds: Document = {"type": {"$in": sorted(types)}, **({"id": id} if id else {})}
        bounds["seq"] = _seq(window, before)
        earlier = {**bounds, **({"until": {"$gt": window.at[0]}} if window.at else {})}
        # The id narrows one resource's versions to a few; without it the order of the index is the order asked for.
        hints = ("_id_", "versions") if id else ("changes", "changes")
        current = {**bounds, **({"_id": f"{next(iter(types))}/{id}"} if id else {})}
        order = [("seq", DESCENDING)]
        with seam():
            found = (
                await self._current.find(current, UNSEARCHED, hint=hints[0]).sort(order).limit(limit + 1).to_list(None)
            )
            found += await self._earlier.find(earlier, hint=hints[1]).sort(order).limit(limit + 1).to_list(None)
        opened = [stored for stored in await self._opening.rows(found) if _before(stored, before)]
        return sorted(opened, key=lambda stored: (stored.seq, str(stored.key)), reverse=True)[:limit]


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


def _before(stored: Stored, before: Position | None) -> bool:
    return before is None or (stored.seq, f"{stored.key}/{stored.version}") < (before.seq, before.id)
