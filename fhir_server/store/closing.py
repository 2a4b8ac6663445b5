"""Ends the lane of a writer that gives no sign of life any more: its end is an event, under the next number.

sealed-storage section 6. A writer that was thought dead and wakes up collides with it, and goes on in another lane.
"""

import logging

from pymongo import ASCENDING
from pymongo.errors import DuplicateKeyError

from fhir_server.crypto.keyring import Keyring
from fhir_server.kernel.clock import Clock, microseconds
from fhir_server.store.collections import Collections
from fhir_server.store.connection import Document, seam
from fhir_server.store.documents import Documents
from fhir_server.store.lane_keys import Lane
from fhir_server.store.lanes import SETTLE, following
from fhir_server.store.received import Event
from fhir_server.store.writer import AUDIT

_log = logging.getLogger("fhir_server.sequencer")
_MOST_AT_ONCE = 100


class Closing:
    """`ended` is the event that says so."""

    def __init__(
        self, collections: Collections, documents: Documents, keyring: Keyring, clock: Clock, ended: Event
    ) -> None:
        self._events, self._writers = collections.audit, collections.writers
        self._documents, self._keyring, self._clock, self._ended = documents, keyring, clock, ended

    async def close_dead(self) -> int:
        """How many lanes were closed."""
        silent: Document = {"open": True, "last": {"$exists": False}, "$expr": {"$lt": ["$until", "$$NOW"]}}
        with seam():
            dead = await self._writers.find(silent).to_list(_MOST_AT_ONCE)
        return sum([await self._close(row["_id"], int(row["sequenced"])) for row in dead])

    async def _close(self, writer: str, sequenced: int) -> bool:
        """Not where a number is missing: that lane is broken, and its end would hide it."""
        last, is_end = sequenced, False
        with seam():
            async for row in self._events.find(following(writer, sequenced), {"end": True}).sort("_id", ASCENDING):
                if row["_id"]["n"] != last + 1:
                    _log.error("A lane of the log lacks its event %s-%s and is not closed.", writer, last + 1)
                    return False
                last, is_end = last + 1, "end" in row
            if not is_end:
                last += 1
                try:
                    await self._events.insert_one(await self._end(writer, last))
                except DuplicateKeyError:
                    return False  # It lives.
            await self._writers.update_one({"_id": writer}, [{"$set": {"last": last}}, *SETTLE])
        return True

    async def _end(self, writer: str, number: int) -> Document:
        root = (await self._keyring.data_keys([AUDIT]))[AUDIT]
        now = microseconds(self._clock.now())
        [row] = Lane.of(root, writer).sealed(self._documents, [(number, self._ended, b"")], now)
        return {**row, "end": True}
