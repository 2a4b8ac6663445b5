"""One lane of the audit log: a leased writer id, and events numbered 1, 2, 3 … by what was really committed.

sealed-storage section 6. An event's id is the writer's id and its number; there is no secondary index on insert.
"""

from collections.abc import Sequence

from fhir_server.crypto.keyring import Keyring
from fhir_server.crypto.keys import DataKey, KeyClass, KeyRequest
from fhir_server.kernel.clock import Clock, microseconds
from fhir_server.kernel.identity import random_id
from fhir_server.store.collections import Collections
from fhir_server.store.connection import Document, seam
from fhir_server.store.documents import Documents, moment
from fhir_server.store.events import writer_key
from fhir_server.store.received import Event


class Writer:
    """Numbers are taken by `settle` once the events are durable; until then the same numbers are given again."""

    def __init__(self, collections: Collections, documents: Documents, keyring: Keyring, clock: Clock) -> None:
        self._writers, self._documents, self._keyring, self._clock = collections.writers, documents, keyring, clock
        self._id = ""
        self._next = 1
        self._key: DataKey | None = None

    async def lease(self) -> None:
        """A fresh writer id, written down before its first event. Called again when it is unknown what committed."""
        self._id = ""
        fresh = random_id()[:16]
        with seam():
            await self._writers.insert_one({"_id": fresh, "since": self._clock.now(), "indexed": 0, "open": True})
        self._id, self._next, self._key = fresh, 1, None

    async def documents(self, entries: Sequence[Event], seq: int) -> list[Document]:
        """The rows of these events, sealed, numbered from the next free number."""
        if not self._id:
            await self.lease()
        key = await self._audit_key()
        return [self._document(entry, number, seq, key) for number, entry in enumerate(entries, self._next)]

    async def end(self) -> None:
        """Say which number was the last, so that nobody looks for more."""
        if self._id:
            with seam():
                await self._writers.update_one({"_id": self._id}, {"$set": {"last": self._next - 1}})
            self._id = ""

    def settle(self, count: int) -> None:
        """They are durable: their numbers are taken."""
        self._next += count

    def _document(self, entry: Event, number: int, seq: int, key: DataKey) -> Document:
        event_id = f"{self._id}-{number}"
        plain = entry.event(event_id, moment(seq))
        sealed = self._documents.seal_bytes(plain, "AuditEvent", event_id, seq, key)
        return {"_id": {"w": self._id, "n": number}, "seq": seq, "key": key.id, "sealed": sealed}

    async def _audit_key(self) -> DataKey:
        if self._key is None:
            clinic = KeyRequest((), KeyClass.AUDIT)
            root = (await self._keyring.data_keys([clinic]))[clinic]
            self._key = writer_key(root, self._id)
        return self._key

    def now(self) -> int:
        return microseconds(self._clock.now())
