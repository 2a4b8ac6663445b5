"""All that one clinic stores, opened together and closed together. Nothing of it is global.

Architecture section 7: the default deployment has one clinic; serving many is wiring.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from fhir_server.audit.ended import Ended
from fhir_server.audit.row_written import RowWritten
from fhir_server.crypto.keyring import MOST_REMEMBERED, Keyring
from fhir_server.crypto.keys import KeyClass, KeyRequest
from fhir_server.crypto.providers.port import RootKeyProvider
from fhir_server.kernel.clock import Clock
from fhir_server.store import collections, keys
from fhir_server.store.anchor_rows import AnchorSightings
from fhir_server.store.attachments import Attachments
from fhir_server.store.audit_log import AuditRows
from fhir_server.store.changes import ChangedRows
from fhir_server.store.chunks import Chunks
from fhir_server.store.client_rows import ClientRows
from fhir_server.store.closing import Closing
from fhir_server.store.collections import Collections
from fhir_server.store.commit import Committer
from fhir_server.store.conditions import Conditions
from fhir_server.store.connection import connect
from fhir_server.store.definition_rows import Definitions
from fhir_server.store.documents import Documents, NewBytes
from fhir_server.store.doorway import Doorway, door_tokenizer, open_doorway
from fhir_server.store.events import Events
from fhir_server.store.everything import Everything
from fhir_server.store.export_rows import ExportRows
from fhir_server.store.grant_rows import GrantRows
from fhir_server.store.grant_states import GrantStates
from fhir_server.store.handles import Handles
from fhir_server.store.heads import HeadRows
from fhir_server.store.holdings import Holdings, Mentions
from fhir_server.store.indexing import Indexing
from fhir_server.store.lanes import adopt
from fhir_server.store.layouts import PATIENCE, Layouts
from fhir_server.store.log_rows import LogRows, log_mark
from fhir_server.store.opening import Opening
from fhir_server.store.opening_rows import OpeningRows
from fhir_server.store.photos import Photos
from fhir_server.store.recorded_rows import RecordedRows
from fhir_server.store.reindexing import Reindexing
from fhir_server.store.resources import Resources
from fhir_server.store.rewriting import Rewriting
from fhir_server.store.rotation_rows import RotationRows
from fhir_server.store.sequencer import Sequencer
from fhir_server.store.signing_key_rows import SigningKeyRows
from fhir_server.store.subscription_rows import SubscriptionRows
from fhir_server.store.synchronous import synchronous
from fhir_server.store.task_rows import TaskRows
from fhir_server.store.token_epochs import Ending
from fhir_server.store.token_keys import TokenKeys
from fhir_server.store.transaction import Transaction
from fhir_server.store.uploads import Uploads
from fhir_server.store.verification import Verification
from fhir_server.store.writer import Writer, staying


@dataclass(frozen=True, slots=True)
class ClinicStore:
    """The ports of the engine, of media, of audit and of sign-in, on one MongoDB."""

    keyring: Keyring
    resources: Resources
    heads: HeadRows
    photos: Photos
    everything: Everything
    uploads: Uploads
    attachments: Attachments
    holdings: Holdings
    mentions: Mentions
    audit: AuditRows
    log: LogRows
    sequencer: Sequencer
    sightings: AnchorSightings
    rotations: RotationRows
    verification: Verification
    tasks: TaskRows
    openings: OpeningRows
    events: Events
    doorway: Doorway
    clients: ClientRows
    grants: GrantRows
    grant_states: GrantStates
    handles: Handles
    signing_keys: SigningKeyRows
    exports: ExportRows
    changes: ChangedRows
    subscriptions: SubscriptionRows
    layouts: Layouts
    reindexing: Reindexing


@asynccontextmanager
async def open_store(
    uri: str,
    database: str,
    base: str,
    provider: RootKeyProvider,
    clock: Clock,
    new_bytes: NewBytes,
    patience: float = PATIENCE,
    most_remembered: int = MOST_REMEMBERED,
) -> AsyncIterator[ClinicStore]:
    """Connected, with every collection and index there and the flushers running.

    `patience`: after how many seconds it looks again how the search index is laid out.
    `most_remembered`: so many keys stay in memory.
    """
    client = connect(uri)
    try:
        to = Collections(client, database)
        key_store = keys.Keys(client, database)
        await collections.require_whole(to.database)
        await collections.prepare(to.database, collections.INDEXES)
        await collections.prepare(key_store.database, keys.INDEXES)
        await adopt(to)
        keyring = Keyring(key_store, provider, new_bytes, clock, most_remembered=most_remembered)
        documents = Documents(database, new_bytes)
        heads = HeadRows(to, documents, keyring)
        chunks = Chunks(to, database)
        photos = Photos(to, documents, keyring, chunks, clock, new_bytes)
        attachments = Attachments(to, keyring, chunks, clock, new_bytes)
        opening = Opening(documents, keyring, attachments)
        grants = GrantStates(to)
        token_keys = TokenKeys(keyring)
        layouts = Layouts(to, opening, token_keys, patience)
        await layouts.open()
        conditions = Conditions(to, layouts, opening)
        writers = [Writer(to, documents, keyring, clock) for _ in range(3)]
        recorded = RecordedRows(to, writers[2], RowWritten(base))
        transaction = Transaction(to, documents, keyring, heads, conditions, layouts, writers[0], clock)
        committer = Committer(transaction, grants)
        events = Events(to, documents, keyring, layouts, base)
        indexing = Indexing(to, layouts, base)
        reindexing = Reindexing(
            layouts,
            Rewriting(to, layouts, indexing, events, opening),
            Definitions(to, opening),
            Ending(to, layouts, token_keys),
            clock,
        )
        doorway = await open_doorway(to, documents, keyring, clock, recorded)
        audit = AuditRows(to, heads, grants, writers[1])
        log = LogRows(to, documents, keyring)
        mark = await log_mark(keyring, database)
        closing = Closing(to, documents, keyring, clock, Ended(base))
        own = KeyRequest((), KeyClass.CLINIC)
        key = (await keyring.data_keys([own]))[own]
        await committer.start()
        await audit.start()
        holdings = Holdings(to, opening, attachments)
        try:
            async with layouts.kept_fresh():
                with synchronous(uri, database) as rows, staying(writers):
                    yield ClinicStore(
                        keyring,
                        Resources(to, opening, indexing, attachments, committer, events),
                        heads,
                        photos,
                        Everything(to, opening, photos, heads),
                        Uploads(to, photos, keyring, chunks, clock),
                        attachments,
                        holdings,
                        Mentions(to, opening, holdings),
                        audit,
                        log,
                        Sequencer(to, log.tree, closing, mark, key_store),
                        AnchorSightings(to),
                        RotationRows(to, key_store),
                        Verification(to, documents, keyring, mark.key),
                        TaskRows(to, clock),
                        OpeningRows(to, await door_tokenizer(keyring)),
                        events,
                        doorway,
                        ClientRows(rows["clients"], documents, key),
                        GrantRows(rows["grants"], rows["refresh_tokens"], documents, key),
                        grants,
                        Handles(rows["handles"], documents, key),
                        SigningKeyRows(to, documents, key),
                        ExportRows(to, documents, key),
                        ChangedRows(to, opening),
                        SubscriptionRows(to),
                        layouts,
                        reindexing,
                    )
        finally:
            await committer.stop()
            await audit.stop()
            await recorded.end()
    finally:
        await client.close()
