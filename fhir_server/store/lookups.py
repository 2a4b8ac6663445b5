"""Reads by id that arrive together share one query.

Architecture section 6: few round trips. A query costs the driver more than opening what it brings.
"""

import asyncio
from collections.abc import Collection, Mapping

from pymongo.asynchronous.collection import AsyncCollection

from fhir_server.store.connection import Document, seam
from fhir_server.store.documents import UNSEARCHED

_MOST_AT_ONCE = 100

_Waiting = dict[str, "asyncio.Future[Document | None]"]


class Lookups:
    """One query at a time; who comes while it is under way shares the next one, which sees all that was written."""

    def __init__(self, rows: AsyncCollection[Document], projection: Mapping[str, bool] | None = UNSEARCHED) -> None:
        self._rows, self._projection = rows, projection
        self._waiting: _Waiting = {}
        self._running: asyncio.Task[None] | None = None

    async def find(self, id: str) -> Document | None:
        """The row of this id as it was at some instant after the call began; shared, so never to be changed."""
        found = self._waiting.get(id)
        if found is None:
            found = self._waiting[id] = asyncio.get_running_loop().create_future()
            if self._running is None:
                self._running = asyncio.create_task(self._run())
        # A caller that goes away does not take the others' answer with it.
        return await asyncio.shield(found)

    async def find_many(self, ids: Collection[str]) -> list[Document]:
        """Those that there are, in no order. So many that they fill a query are one of their own."""
        if len(ids) >= _MOST_AT_ONCE:
            return list((await self._query(list(ids))).values())
        found = await asyncio.gather(*(self.find(id) for id in dict.fromkeys(ids)))
        return [row for row in found if row is not None]

    async def _run(self) -> None:
        while self._waiting:
            ids = list(self._waiting)[:_MOST_AT_ONCE]
            taken = {id: self._waiting.pop(id) for id in ids}
            try:
                rows = await self._query(ids)
            except Exception as error:  # noqa: BLE001  every waiting call gets its answer
                for future in taken.values():
                    future.set_exception(error)
                    future.exception()  # whoever asked may be gone: then nobody is left to tell
            else:
                for id, future in taken.items():
                    future.set_result(rows.get(id))
        self._running = None

    async def _query(self, ids: list[str]) -> dict[str, Document]:
        with seam():
            if len(ids) == 1:
                one = await self._rows.find_one({"_id": ids[0]}, self._projection)
                return {ids[0]: one} if one else {}
            found = await self._rows.find({"_id": {"$in": ids}}, self._projection).to_list(None)
        return {row["_id"]: row for row in found}
