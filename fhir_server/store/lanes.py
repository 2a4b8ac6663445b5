"""The row of each writer of the log: how far its lane was indexed and put into the tree, and whether it still writes.

sealed-storage section 6. What is said of time is said by the database's clock: the one that all processes share.
"""

from collections.abc import Sequence
from datetime import datetime

from fhir_server.crypto.commitment import COMMITMENT_BYTES, entry
from fhir_server.store.collections import Collections
from fhir_server.store.connection import Document, seam

LEASE_MILLISECONDS = 60_000
"""So long after its last sign of life a writer counts as ended: somebody else closes its lane."""

BEYOND = 1 << 62
"""Above every number that is given."""

AGAIN: Sequence[Document] = ({"$set": {"until": {"$add": ["$$NOW", LEASE_MILLISECONDS]}}},)
"""A sign of life."""


def _reached(name: str) -> Document:
    return {"$gte": [f"${name}", {"$ifNull": ["$last", BEYOND]}]}


SETTLE: Sequence[Document] = ({"$set": {"open": {"$not": {"$and": [_reached("indexed"), _reached("sequenced")]}}}},)
"""Whether there is anything left to be done about it."""


def fresh(id: str, now: datetime) -> list[Document]:
    """The update that makes a writer's row."""
    row = {"_id": id, "since": now, "indexed": 0, "sequenced": 0, "open": True}
    return [{"$set": row}, *AGAIN]


def following(writer: str, number: int) -> Document:
    """The events of one lane after a number."""
    return {"_id": {"$gt": {"w": writer, "n": number}, "$lt": {"w": writer, "n": BEYOND}}}


def entry_of(row: Document) -> bytes:
    """What the leaf of an event is made of. Those from before there was a tree commit to nothing."""
    return entry(row.get("commitment", bytes(COMMITMENT_BYTES)), row.get("carried", b""), row["sealed"])


ENTRY = {"commitment": True, "carried": True, "sealed": True}
"""What of an event's row is fetched for its leaf."""


async def adopt(collections: Collections) -> None:
    """Writers from before there was a tree: their events come into it like any other."""
    before: Document = {"$set": {"sequenced": 0, "open": True, "until": "$$NOW"}}
    with seam():
        await collections.writers.update_many({"sequenced": {"$exists": False}}, [before])
