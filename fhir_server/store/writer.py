"""One lane of the audit log: a leased writer id, and events numbered 1, 2, 3 … by what was really committed.

sealed-storage section 6. An event's id is the writer's id and its number; there is no secondary index on insert.
"""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from fhir_server.crypto.keyring import Keyring
from fhir_server.crypto.keys import KeyClass, KeyRequest
from fhir_server.kernel.clock import Clock, microseconds
from fhir_server.kernel.errors import FhirError
from fhir_server.kernel.identity import random_id
from fhir_server.store import lanes
from fhir_server.store.collections import Collections
from fhir_server.store.connection import Document, seam
from fhir_server.store.documents import Documents
from fhir_server.store.lane_keys import Lane
from fhir_server.store.received import Event

AUDIT = KeyRequest((), KeyClass.AUDIT)
_BETWEEN_SIGNS = lanes.LEASE_MILLISECONDS / 4_000


class Writer:
    """Numbers are taken by `settle` once the events are durable; until then the same numbers are given again."""

    def __init__(self, collections: Collections, documents: Documents, keyring: Keyring, clock: Clock) -> None:
        self._writers, self._documents, self._keyring, self._clock = collections.writers, documents, keyring, clock
        self._id = ""
        self._next = 1
        self._keys: Lane | None = None

    async def lease(self) -> None:
        """A fresh writer id, written down before its first event. Called again when it is unknown what committed."""
        self._id = ""
        id = random_id()[:16]
        with seam():
            await self._writers.update_one({"_id": id}, lanes.fresh(id, self._clock.now()), upsert=True)
        self._id, self._next, self._keys = id, 1, None

    async def stay(self) -> None:
        """A sign of life."""
        if self._id:
            with seam():
                await self._writers.update_one({"_id": self._id, "open": True}, list(lanes.AGAIN))

    async def documents(self, entries: Sequence[Event], seq: int, carried: Sequence[bytes] = ()) -> list[Document]:
        """The rows of these events, sealed, numbered from the next free number. `carried`: what each carries along."""
        if not self._id:
            await self.lease()
        lane = await self._lane()
        along = carried or [b""] * len(entries)
        numbers = range(self._next, self._next + len(entries))
        return lane.sealed(self._documents, zip(numbers, entries, along, strict=True), seq)

    async def end(self) -> None:
        """Say which number was the last, so that nobody looks for more."""
        if self._id:
            with seam():
                await self._writers.update_one({"_id": self._id}, {"$set": {"last": self._next - 1}})
            self._id = ""

    def settle(self, count: int) -> None:
        """They are durable: their numbers are taken."""
        self._next += count

    async def _lane(self) -> Lane:
        if self._keys is None:
            self._keys = Lane.of((await self._keyring.data_keys([AUDIT]))[AUDIT], self._id)
        return self._keys

    def now(self) -> int:
        return microseconds(self._clock.now())


@contextmanager
def staying(writers: Sequence[Writer]) -> Iterator[None]:
    """Inside, each of them gives signs of life; else its lane is closed under it."""
    task = asyncio.create_task(_stay(writers))
    try:
        yield
    finally:
        task.cancel()


async def _stay(writers: Sequence[Writer]) -> None:
    while True:
        await asyncio.sleep(_BETWEEN_SIGNS)
        for writer in writers:
            with suppress(FhirError):
                await writer.stay()
