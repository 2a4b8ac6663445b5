"""Candidates of a compiled query, in their order: one look at the index, or several that are merged.

sealed-storage section 2: an `$in` of more than 200 tokens falls from a merge of sorted runs to a sort.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import ExecutionTimeout

from fhir_server.kernel.errors import TooCostlyError
from fhir_server.store.connection import Document
from fhir_server.store.query_compiler import Compiled
from fhir_server.store.shared_looks import MOST_MILLISECONDS, MOST_ROWS, SharedLooks


async def fetch(
    collection: AsyncCollection[Document],
    compiled: Compiled,
    most: int,
    projection: Mapping[str, bool] | None = None,
    session: AsyncClientSession | None = None,
    shared: SharedLooks | None = None,
) -> Sequence[Document]:
    """The first `most` rows of the query's order or a few more, each once.

    Raises TooCostlyError when the database takes too long. Its other faults are the caller's: inside a transaction they
    say whether to try again. `shared`: what small looks on this collection, with this projection, go through.
    """
    look = _Look(collection, compiled, projection, session, shared)
    try:
        found = [await look.first(filter, most) for filter in compiled.filters]
    except ExecutionTimeout:
        raise TooCostlyError("The search takes too long; narrow it.") from None
    if len(found) == 1:
        return found[0]
    # A row that several looks brought up comes once.
    rows = list({row["_id"]: row for some in found for row in some}.values())
    return _cut(look.ordered(rows), most)


@dataclass(frozen=True, slots=True)
class _Look:
    collection: AsyncCollection[Document]
    compiled: Compiled
    projection: Mapping[str, bool] | None
    session: AsyncClientSession | None
    shared: SharedLooks | None

    async def first(self, filter: Document, most: int) -> list[Document]:
        """At least the first `most` rows.

        An index that ends with the seq knows no order among rows of one seq: all that share the last one's come along.
        """
        if self.compiled.is_whole_order:
            return await self._rows(filter, most)
        if self.shared and self.compiled.by_tokens_alone and most < MOST_ROWS:
            rows = self.ordered(await self.shared.first(filter, self.compiled.sort, self.compiled.hint, most + 1))
        else:
            rows = await self._rows(filter, most + 1)
        if len(rows) > most:
            last = rows[most - 1]["seq"]
            if rows.pop()["seq"] == last:
                tied = await self._rows({"$and": [filter, {"seq": last}]}, 0)
                rows = [row for row in rows if row["seq"] != last] + tied
        return self.ordered(rows)

    async def _rows(self, filter: Document, most: int) -> list[Document]:
        cursor = self.collection.find(filter, self.projection, session=self.session, hint=self.compiled.hint)
        ordered = cursor.sort(list(self.compiled.sort)).limit(most).max_time_ms(MOST_MILLISECONDS)
        found: list[Document] = await ordered.to_list(None)
        return found

    def ordered(self, rows: list[Document]) -> list[Document]:
        by_id = self.compiled.sort[0][0] == "_id"
        place = (lambda row: row["_id"]) if by_id else (lambda row: (row["seq"], row["_id"]))
        return sorted(rows, key=place, reverse=self.compiled.direction < 0)


def _cut(rows: list[Document], most: int) -> list[Document]:
    """The first `most`, and what shares the seq of the last of them."""
    if len(rows) <= most:
        return rows
    last = rows[most - 1]["seq"]
    end = next((place for place, row in enumerate(rows) if place >= most and row["seq"] != last), len(rows))
    return rows[:end]
