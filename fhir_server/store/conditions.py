"""A conditional write decides on what is there at the instant of its commit, whoever else writes.

sealed-storage section 4: update one lock row per token of the criteria inside the transaction, search after that, then
write. Two that ask alike conflict on the lock row, and the later one searches again. R-FHIR-010.
"""

from collections.abc import Sequence

from pymongo import UpdateOne
from pymongo.asynchronous.client_session import AsyncClientSession

from fhir_server.engine.change import Condition
from fhir_server.kernel.errors import ConditionChangedError, TooCostlyError
from fhir_server.store.candidates import decided
from fhir_server.store.collections import Collections
from fhir_server.store.documents import UNSEARCHED, Row
from fhir_server.store.fetching import fetch
from fhir_server.store.layouts import Layouts
from fhir_server.store.opening import Opening
from fhir_server.store.query_compiler import by, compile_query

_MOST_CANDIDATES = 200
"""A condition that brings up more is refused: it could not be decided on all of them."""


class Conditions:
    def __init__(self, collections: Collections, layouts: Layouts, opening: Opening) -> None:
        self._locks, self._rows = collections.locks, collections.resources
        self._layouts, self._opening = layouts, opening

    async def require(self, rows: Sequence[Row], session: AsyncClientSession) -> None:
        """Inside the transaction, before its first write. Raises ConditionChangedError."""
        locks = sorted({token for row in rows for token in row.locks})
        if not locks:
            return
        taking = [UpdateOne({"_id": token}, {"$inc": {"taken": 1}}, upsert=True) for token in locks]
        await self._locks.bulk_write(taking, session=session)
        for row in rows:
            if row.change.condition and await self._differs(row.change.condition, session):
                raise ConditionChangedError("What the criteria match has changed in the meantime.")

    async def _differs(self, condition: Condition, session: AsyncClientSession) -> bool:
        """Does something else match than was expected?"""
        query = by(self._layouts.active, condition.query)
        compiled = compile_query(query, None, self._layouts.searching)
        candidates = await fetch(self._rows, compiled, _MOST_CANDIDATES + 1, UNSEARCHED, session)
        if len(candidates) > _MOST_CANDIDATES:
            raise TooCostlyError("Too many resources come into question for the criteria; make them narrower.")
        opened = await self._opening.rows(candidates)
        return {stored.key for stored in filter(decided(query), opened)} != condition.expected
