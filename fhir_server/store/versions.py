"""The versions that a group makes, and those that they follow, in the group's transaction.

https://hl7.org/fhir/R4/http.html#history; architecture section 6: exactly the version that was read is replaced.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from pymongo import InsertOne, ReplaceOne
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.errors import BulkWriteError

from fhir_server.crypto.keys import DataKey, DataRequest
from fhir_server.engine.integrity import LOG
from fhir_server.engine.stored import Stored
from fhir_server.kernel.errors import StaleVersionError
from fhir_server.store.collections import Collections
from fhir_server.store.connection import Document, is_duplicate
from fhir_server.store.documents import Documents, Row, historic
from fhir_server.store.row_seals import RowSeal, row_seal

Keys: TypeAlias = Mapping[DataRequest, DataKey]

_CHANGED = "The resource was changed in the meantime."


@dataclass(frozen=True, slots=True)
class Sealed:
    """A row, the document to write, and the version that it makes."""

    row: Row
    document: Document
    version: Stored

    @property
    def seal(self) -> RowSeal:
        return row_seal(self.row.id, self.version.version, self.document["sealed"])


class Versions:
    """`seqs`: when each of the rows comes to be, in their order."""

    def __init__(self, collections: Collections, documents: Documents) -> None:
        self._resources, self._history, self._documents = collections.resources, collections.history, documents

    def sealed(self, rows: Sequence[Row], seqs: Sequence[int], keys: Keys) -> Sequence[Sealed]:
        """All but what goes into the log."""
        return [
            Sealed(row, *self._documents.sealed(row, seq, keys[row.owners]))
            for row, seq in zip(rows, seqs, strict=True)
            if row.change.key.type != LOG
        ]

    async def keep(self, rows: Sequence[Row], seqs: Sequence[int], session: AsyncClientSession) -> None:
        """What was read moves into the history as it lies, so this waits for no seal."""
        read = [(row.change.previous, seq) for row, seq in zip(rows, seqs, strict=True)]
        earlier = [historic(previous.raw, until=seq) for previous, seq in read if previous]
        if not earlier:
            return
        try:
            await self._history.insert_many(earlier, ordered=False, session=session)
        except BulkWriteError as error:
            if is_duplicate(error):
                raise StaleVersionError(_CHANGED) from None
            raise

    async def write(self, sealed: Sequence[Sealed], session: AsyncClientSession) -> None:
        """The current version replaces exactly the one that was read."""
        if not sealed:
            return
        operations: list[InsertOne[Document] | ReplaceOne[Document]] = [
            ReplaceOne({"_id": one.row.id, "version": previous.version}, one.document)
            if (previous := one.row.change.previous)
            else InsertOne(one.document)
            for one in sealed
        ]
        result = await self._resources.bulk_write(operations, ordered=False, session=session)
        if result.matched_count != sum(one.row.change.previous is not None for one in sealed):
            raise StaleVersionError(_CHANGED)
