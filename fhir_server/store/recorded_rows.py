"""Writes a row that is no resource together with an event that carries its seal: both, or neither.

Architecture section 4: a user's row that is put back as it was is to be found. A lane of its own, one write at a time.
"""

import asyncio
from collections.abc import Awaitable, Callable

from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.errors import BulkWriteError, DuplicateKeyError, PyMongoError
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from fhir_server.store.collections import Collections
from fhir_server.store.connection import Document, is_duplicate
from fhir_server.store.received import Event
from fhir_server.store.row_seals import RowSeal
from fhir_server.store.writer import Writer

Write = Callable[[AsyncClientSession], Awaitable[bool]]
"""Whether it wrote."""


class RecordedRows:
    def __init__(self, collections: Collections, writer: Writer, event: Event) -> None:
        self._to, self._writer, self._event = collections, writer, event
        self._one = asyncio.Lock()

    async def write(self, seal: RowSeal, write: Write) -> bool:
        """Raises DuplicateKeyError where `write` does, and PyMongoError where it is not known what happened."""
        async with self._one:
            try:
                return await self._together(seal, write)
            except BulkWriteError as error:
                if not is_duplicate(error):
                    raise
            # We were thought to be gone, and our lane was closed: go on in another.
            await self._writer.lease()
            return await self._together(seal, write)

    async def _together(self, seal: RowSeal, write: Write) -> bool:
        events = await self._writer.documents([self._event], self._writer.now(), [seal.encode()])

        async def both(session: AsyncClientSession) -> bool:
            return await write(session) and await self._record(events, session)

        try:
            async with self._to.client.start_session() as session:
                written = await session.with_transaction(
                    both, ReadConcern("snapshot"), WriteConcern("majority", j=True)
                )
        except (DuplicateKeyError, BulkWriteError):
            raise
        except PyMongoError:
            # Its number may be taken or not.
            await self._writer.lease()
            raise
        if written:
            self._writer.settle(len(events))
        return written

    async def _record(self, events: list[Document], session: AsyncClientSession) -> bool:
        await self._to.audit.insert_many(events, session=session)
        return True

    async def end(self) -> None:
        """The last one was written."""
        await self._writer.end()
