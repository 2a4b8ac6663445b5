"""The history of AuditEvents: each has one version, by POST, and none is ever replaced.

https://hl7.org/fhir/R4/http.html#history. Events lie in the log, not beside the resources, and are found by its index.
"""

from dataclasses import replace

from fhir_server.engine.integrity import LOG
from fhir_server.engine.position import Position
from fhir_server.engine.stored import Stored
from fhir_server.engine.window import Window
from fhir_server.search.tree import Query, Sort
from fhir_server.store.connection import Document
from fhir_server.store.events import Events
from fhir_server.store.layouts import Layouts
from fhir_server.store.query_compiler import Compiled, compile_query

_NEWEST_FIRST = Query(LOG, sort=(Sort("_lastUpdated", descending=True),))


class EventVersions:
    def __init__(self, events: Events, layouts: Layouts) -> None:
        self._events, self._layouts = events, layouts

    async def versions(self, id: str | None, window: Window, before: Position | None, limit: int) -> list[Stored]:
        """Up to `limit` events, newest first; of one event itself."""
        if id is not None:
            event = await self._events.read(id)
            return [_posted(event)] if event and _lies_in(event, window, before) else []
        await self._layouts.fresh()
        found: list[Stored] = []
        after = Position(before.seq, before.id.rpartition("/")[0]) if before else None
        while True:
            compiled = _within(compile_query(_NEWEST_FIRST, after, self._layouts.searching), window)
            rows, opened = await self._events.candidates(compiled, limit)
            found += map(_posted, opened)
            if len(found) >= limit or len(rows) < limit:
                return found[:limit]
            after = Position(int(rows[-1]["seq"]), rows[-1]["_id"])


def _posted(event: Stored) -> Stored:
    return replace(event, raw={**event.raw, "method": "POST"})


def _lies_in(event: Stored, window: Window, before: Position | None) -> bool:
    low, high = _bounds(window)
    earlier = before is None or (event.seq, f"{event.key}/1") < (before.seq, before.id)
    return low <= event.seq < high and earlier


def _within(compiled: Compiled, window: Window) -> Compiled:
    low, high = _bounds(window)
    bounds: Document = {"seq": {"$gte": low, "$lt": high}}
    return replace(compiled, filters=[{"$and": [filter, bounds]} for filter in compiled.filters])


def _bounds(window: Window) -> tuple[int, int]:
    """A lastUpdated is written to the millisecond, so a bound given to the millisecond includes all of it."""
    return window.since // 1000 * 1000 if window.since is not None else 0, window.at[1] if window.at else 1 << 62
