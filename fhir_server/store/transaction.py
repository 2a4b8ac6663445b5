"""One MongoDB transaction that writes a group of rows with everything that belongs to them.

https://www.mongodb.com/docs/manual/core/transactions/; after an unknown commit result only the commit is retried.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeAlias

from pymongo import UpdateOne
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.errors import BulkWriteError, PyMongoError
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from fhir_server.crypto.draft import Draft
from fhir_server.crypto.keyring import Keyring
from fhir_server.crypto.keys import DataRequest
from fhir_server.engine.integrity import LOG
from fhir_server.engine.stored import Stored
from fhir_server.kernel.clock import Clock, microseconds
from fhir_server.kernel.errors import ConflictError, UnavailableError
from fhir_server.store.attachments import LIVE, PENDING
from fhir_server.store.collections import Collections
from fhir_server.store.conditions import Conditions
from fhir_server.store.connection import Document, is_duplicate, seam
from fhir_server.store.documents import Documents, Row
from fhir_server.store.heads import Applied, HeadRows, Moves
from fhir_server.store.layouts import Layouts
from fhir_server.store.meanwhile import meanwhile
from fhir_server.store.outcomes import TransientError, UnknownOutcomeError, explained, telling_outage
from fhir_server.store.received import Received, events_of, received_of
from fhir_server.store.row_seals import RowSeal, spread
from fhir_server.store.task_rows import task_document
from fhir_server.store.tombstones import CLINIC, Tombstones
from fhir_server.store.versions import Keys, Sealed, Versions
from fhir_server.store.writer import Writer

_COMMIT_TRIES = 20
_COMMIT_PAUSE = 0.25


Granted: TypeAlias = asyncio.Task[None]
"""Raises where a grant that the rows are written with does not hold any more."""

Standing: TypeAlias = asyncio.Task[Keys]
"""The keys that are stored, and not destroyed."""


@dataclass(slots=True)
class _Written:
    stored: list[Stored]
    new_heads: Sequence[str]
    events: int


class Transaction:
    """Runs groups one at a time; `seq` rises strictly within a process."""

    def __init__(
        self,
        collections: Collections,
        documents: Documents,
        keyring: Keyring,
        heads: HeadRows,
        conditions: Conditions,
        layouts: Layouts,
        writer: Writer,
        clock: Clock,
    ) -> None:
        self._to, self._keyring = collections, keyring
        self._heads, self._conditions, self._layouts = heads, conditions, layouts
        self._writer, self._clock = writer, clock
        self._versions = Versions(collections, documents)
        self._tombstones = Tombstones(collections, documents, clock)
        self._last_seq = 0

    async def run(self, rows: Sequence[Row], granted: Granted) -> tuple[Stored, ...]:
        """Write all rows, or raise and write none. Whether the grants hold, and the keys stand, is known at the commit.

        Until then both are asked for beside what is written, which nobody sees. Raises OutageError without the
        database, TransientError where the same may be tried again.
        """
        with telling_outage():
            await self._layouts.require({row.layout for row in rows})
            draft = await self._draft(rows)
        with seam():
            async with meanwhile(self._standing(draft)) as standing, self._to.client.start_session() as session:
                keys = draft.keys
                if keys is None:
                    keys = await standing
                written = await self._write(rows, keys, session, standing, granted)
        self._heads.remember(written.new_heads)
        self._writer.settle(written.events)
        return tuple(written.stored)

    async def _draft(self, rows: Sequence[Row]) -> Draft:
        created = {row.change.key.id for row in rows if row.change.previous is None}
        wanted: set[DataRequest] = {row.owners for row in rows if row.change.key.type != LOG}
        if any(row.change.erasures for row in rows):
            wanted.add(CLINIC)
        return await self._keyring.draft(wanted, created)

    async def _standing(self, draft: Draft) -> Keys:
        with telling_outage():
            return await self._keyring.confirm(draft)

    async def end(self) -> None:
        """The last one was run."""
        await self._writer.end()

    async def _write(
        self, rows: Sequence[Row], keys: Keys, session: AsyncClientSession, standing: Standing, granted: Granted
    ) -> _Written:
        await session.start_transaction(ReadConcern("snapshot"), WriteConcern("majority", j=True))
        try:
            written = await self._operations(rows, keys, session)
            await _as_sealed(keys, standing)
            await granted
        except PyMongoError as error:
            await _abort(session)
            raise explained(error) from error
        except BaseException:
            await _abort(session)
            raise
        await self._commit(session)
        return written

    async def _operations(self, rows: Sequence[Row], keys: Keys, session: AsyncClientSession) -> _Written:
        await self._conditions.require(rows, session)
        changes = [row.change for row in rows]
        patients = dict.fromkeys(patient for row in rows for patient in row.subjects)
        moves = [
            move
            for change in changes
            for move in (*change.heads, *change.unmoved, *((change.basis,) if change.basis else ()))
        ]
        seqs = self._seqs(rows)
        async with meanwhile(self._unsealed(rows, seqs, patients, moves, session)) as applied:
            sealed = self._versions.sealed(rows, seqs, keys)
        heads = await applied
        erased = [key for change in changes for erasure in change.erasures for key in erasure.keys]
        received = received_of(rows)
        async with meanwhile(self._current(rows, sealed, session)) as written:
            laid: Sequence[RowSeal] = ()
            if erased:
                await written
                laid = await self._tombstones.lay(erased, keys, self._seq_after, session)
            events = await self._events(rows, received, sealed, (*heads.seals, *laid))
        await written
        await self._attachments(rows, keys, session)
        tasks = [task_document(task, self._clock.now()) for change in changes for task in change.tasks]
        if tasks:
            await self._to.tasks.insert_many(tasks, session=session)
        if events:
            await self._record(events, session)
        stored = {one.row.id: one.version for one in sealed}
        stored |= {id: event.stored(self._last_seq) for id, event in received.items()}
        return _Written([stored[row.id] for row in rows], heads.fresh, len(events))

    async def _unsealed(
        self,
        rows: Sequence[Row],
        seqs: Sequence[int],
        patients: Iterable[str],
        moves: Moves,
        session: AsyncClientSession,
    ) -> Applied:
        """What waits for no seal: the heads, and the versions that were read, which move into the history."""
        applied = await self._heads.apply(patients, moves, session)
        await self._versions.keep(rows, seqs, session)
        return applied

    async def _events(
        self,
        rows: Sequence[Row],
        received: Mapping[str, Received],
        sealed: Sequence[Sealed],
        others: Sequence[RowSeal],
    ) -> Sequence[Document]:
        """What goes into the log, sealed, with the seals of the rows that are written."""
        entries = list(events_of(rows, received))
        if not entries:
            return ()
        seals = {one.row.id: one.seal for one in sealed}
        carried = spread([row for row, _ in entries], seals, others)
        return await self._writer.documents([event for _, event in entries], self._last_seq, carried)

    async def _record(self, events: Sequence[Document], session: AsyncClientSession) -> None:
        try:
            await self._to.audit.insert_many(events, ordered=False, session=session)
        except BulkWriteError as error:
            if not is_duplicate(error):
                raise
            # We were thought to be gone, and our lane was closed: go on in another.
            await self._writer.lease()
            raise TransientError from None

    async def _current(self, rows: Sequence[Row], sealed: Sequence[Sealed], session: AsyncClientSession) -> None:
        await self._versions.write(sealed, session)
        await self._photos(rows, session)

    async def _photos(self, rows: Sequence[Row], session: AsyncClientSession) -> None:
        """Bytes come alive, or are condemned, with the change that says so; or nothing happens."""
        now = self._clock.now()
        flips = [
            UpdateOne({"_id": move.photo, "state": move.before}, {"$set": {"state": move.after, "since": now}})
            for row in rows
            for move in row.change.blobs
        ]
        if flips:
            result = await self._to.photos.bulk_write(flips, session=session)
            if result.matched_count != len(flips):
                raise ConflictError("The bytes of a photo are not in the state that the change needs.")

    async def _attachments(self, rows: Sequence[Row], keys: Keys, session: AsyncClientSession) -> None:
        """Large data comes alive with the version that brings it."""
        if any(row.framed is not None and row.framed_under != keys[row.owners].id for row in rows):
            raise UnavailableError("The key of the resource was destroyed in the meantime; try again.")
        brought = [id for row in rows for id in row.brought]
        if not brought:
            return
        now = self._clock.now()
        pending = {"_id": {"$in": brought}, "state": PENDING}
        result = await self._to.attachments.update_many(
            pending, {"$set": {"state": LIVE, "since": now}}, session=session
        )
        if result.matched_count != len(brought):
            raise UnavailableError("Data of the resource was not kept until its commit; try again.")

    def _seqs(self, rows: Sequence[Row]) -> Sequence[int]:
        """When each comes to be."""
        now = [self._seq_after(row.change.previous.seq if row.change.previous else 0) for row in rows]
        return [row.change.kept.seq if row.change.kept else seq for row, seq in zip(rows, now, strict=True)]

    def _seq_after(self, previous: int) -> int:
        """Now; but after the last one given here, and after the version it follows, whose clock may have been ahead."""
        self._last_seq = max(self._last_seq + 1, previous + 1, microseconds(self._clock.now()))
        return self._last_seq

    async def _commit(self, session: AsyncClientSession) -> None:
        """After an unknown result only the commit is sent again: it is idempotent, the operations are not."""
        for _ in range(_COMMIT_TRIES):
            try:
                await session.commit_transaction()
            except PyMongoError as error:
                if error.has_error_label("UnknownTransactionCommitResult"):
                    await asyncio.sleep(_COMMIT_PAUSE)
                    continue
                raise explained(error) from error
            else:
                return
        # Its numbers may be taken or not: go on under another id, so that neither a gap nor a repeat can come of it.
        with suppress(UnavailableError):
            await self._writer.lease()
        raise UnknownOutcomeError("The database did not say whether the write was committed.")


async def _as_sealed(keys: Keys, standing: Standing) -> None:
    """Raises where others made or destroyed some of them meanwhile: then it is sealed anew."""
    if await standing != keys:
        raise TransientError


async def _abort(session: AsyncClientSession) -> None:
    if session.in_transaction:
        try:
            await session.abort_transaction()
        except PyMongoError:
            return  # The server forgets it by itself; the fault that led here is the one to tell.
