"""Reads by id that arrive together share one query.

Architecture section 6: few round trips. A query costs the driver more than opening what it brings.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TypeAlias

from pymongo.asynchronous.collection import AsyncCollection

from fhir_server.store.connection import Document, seam
from fhir_server.store.documents import UNSEARCHED

_MOST_AT_ONCE = 100

Id: TypeAlias = str | bytes


def _own(row: Document) -> Iterable[Id]:
    return (row["_id"],)


class Lookups:
    """One query at a time; who comes while it is under way shares the next one, which sees all that was written.

    `field` is what the ids are looked for in, `ids_of` those that a row has there, `most` how many one query asks for.
    """

    def __init__(
        self,
        rows: AsyncCollection[Document],
        projection: Mapping[str, bool] | None = UNSEARCHED,
        field: str = "_id",
        ids_of: Callable[[Document], Iterable[Id]] = _own,
        most: int = _MOST_AT_ONCE,
    ) -> None:
        self._rows, self._projection = rows, projection
        self._field, self._ids_of, self._most = field, ids_of, most
        self._waiting: dict[Id, asyncio.Future[Document | None]] = {}
        self._running: asyncio.Task[None] | None = None

    async def find(self, id: Id) -> Document | None:
        """The row of this id as it was at some instant after the call began; shared, so never to be changed."""
        # A caller that goes away does not take the others' answer with it.
        return await asyncio.shield(self._asked(id))

    async def find_many(self, ids: Collection[Id]) -> list[Document]:
        """Those that there are, in no order. So many that they fill a query are one of their own."""
        if len(ids) >= self._most:
            return list((await self._query(list(ids))).values())
        asked = [self._asked(id) for id in dict.fromkeys(ids)]
        # Most share a query, so all but the first to be awaited are there by then.
        found = [one.result() if one.done() else await asyncio.shield(one) for one in asked]
        return [row for row in found if row is not None]

    def _asked(self, id: Id) -> "asyncio.Future[Document | None]":
        found = self._waiting.get(id)
        if found is None:
            found = self._waiting[id] = asyncio.get_running_loop().create_future()
            if self._running is None:
                self._running = asyncio.create_task(self._run())
        return found

    async def _run(self) -> None:
        while self._waiting:
            ids = list(self._waiting)[: self._most]
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

    async def _query(self, ids: list[Id]) -> dict[Id, Document]:
        with seam():
            if len(ids) == 1:
                one = await self._rows.find_one({self._field: ids[0]}, self._projection)
                return {ids[0]: one} if one else {}
            found = await self._rows.find({self._field: {"$in": ids}}, self._projection).to_list(None)
        return {id: row for row in found for id in self._ids_of(row)}
