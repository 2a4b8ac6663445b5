"""Candidates of a compiled query, in their order: one look at the index, or several that are merged.

sealed-storage section 2: an `$in` of more than 200 tokens falls from a merge of sorted runs to a sort.
"""

from collections.abc import Mapping, Sequence

from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import ExecutionTimeout

from fhir_server.kernel.errors import TooCostlyError
from fhir_server.store.connection import Document
from fhir_server.store.query_compiler import Compiled

_MOST_MILLISECONDS = 30_000
"""For one look. The database gives up then, also when whoever asked has gone."""


async def fetch(
    collection: AsyncCollection[Document],
    compiled: Compiled,
    most: int,
    projection: Mapping[str, bool] | None = None,
    session: AsyncClientSession | None = None,
) -> Sequence[Document]:
    """The first `most` rows of the query's order, each once. Raises TooCostlyError when the database takes too long.

    Other faults of the database are the caller's: inside a transaction they say whether to try again.
    """
    try:
        found = [
            await collection.find(filter, projection, session=session, hint=compiled.hint)
            .sort(list(compiled.sort))
            .limit(most)
            .max_time_ms(_MOST_MILLISECONDS)
            .to_list(None)
            for filter in compiled.filters
        ]
    except ExecutionTimeout:
        raise TooCostlyError("The search takes too long; narrow it.") from None
    return found[0] if len(found) == 1 else _merged(found, compiled, most)


def _merged(found: Sequence[Sequence[Document]], compiled: Compiled, most: int) -> Sequence[Document]:
    """A row that several looks brought up comes once."""
    names = [name for name, _ in compiled.sort]
    rows = {row["_id"]: row for some in found for row in some}.values()
    ordered = sorted(rows, key=lambda row: [row[name] for name in names], reverse=compiled.direction < 0)
    return ordered[:most]
