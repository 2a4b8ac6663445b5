"""How far each subscription is, what it was told, and who of several workers tells: numbers and ids alone.

An event is written once for a version: its `_id` says which, so what is looked at again is not told again. Events go
by themselves after thirty days.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime

from pymongo import ASCENDING, DESCENDING
from pymongo.errors import BulkWriteError, DuplicateKeyError

from fhir_server.kernel.errors import ConflictError
from fhir_server.kernel.identity import ResourceKey
from fhir_server.store.collections import Collections
from fhir_server.store.connection import Document, seam
from fhir_server.subscriptions.ports import Event, Place, Progress

_LEAD = "#lead"


class SubscriptionRows:
    def __init__(self, collections: Collections) -> None:
        self._rows, self._events = collections.subscriptions, collections.notifications

    async def lead(self, who: str, now: datetime, until: datetime) -> bool:
        """True for one at a time, until then."""
        free = {"_id": _LEAD, "$or": [{"who": who}, {"until": {"$lt": now}}]}
        with seam():
            try:
                await self._rows.update_one(free, {"$set": {"who": who, "until": until}}, upsert=True)
            except DuplicateKeyError:
                return False
        return True

    async def get(self, id: str) -> Progress | None:
        with seam():
            found = await self._rows.find_one({"_id": id})
        if found is None:
            return None
        return Progress(found["begin"], found["settled"], found["told"], found["failures"], found["due"])

    async def save(self, id: str, progress: Progress) -> None:
        with seam():
            await self._rows.replace_one({"_id": id}, asdict(progress), upsert=True)

    async def forget(self, id: str) -> None:
        with seam():
            await self._rows.delete_one({"_id": id})
            await self._events.delete_many({"subscription": id})

    async def add(self, id: str, places: Sequence[Place], at: datetime) -> None:
        """Raises ConflictError where another worker numbers at the same time."""
        rows = {f"{id}/{place.key}/{place.version}": place for place in places}
        with seam():
            known, last, told = await asyncio.gather(
                self._events.find({"_id": {"$in": sorted(rows)}}, {"_id": True}).to_list(None),
                self._events.find_one({"subscription": id}, {"number": True}, sort=[("number", DESCENDING)]),
                self._rows.find_one({"_id": id}, {"told": True}),
            )
        there = {row["_id"] for row in known}
        number = max(int(last["number"]) if last else 0, int(told["told"]) if told else 0)
        fresh = [(name, place) for name, place in rows.items() if name not in there]
        new = [
            {
                "_id": name,
                "subscription": id,
                "number": each,
                "type": place.key.type,
                "id": place.key.id,
                "version": place.version,
                "at": at,
            }
            for each, (name, place) in enumerate(fresh, number + 1)
        ]
        with seam():
            try:
                if new:
                    await self._events.insert_many(new)
            except (BulkWriteError, DuplicateKeyError):
                raise ConflictError("Another worker numbers the events of this subscription.") from None

    async def events(self, id: str, after: int, limit: int) -> Sequence[Event]:
        wanted: Document = {"subscription": id, "number": {"$gt": after}}
        with seam():
            cursor = self._events.find(wanted, hint="number").sort([("number", ASCENDING)]).limit(limit)
            found = await cursor.to_list(None)
        return [
            Event(int(row["number"]), ResourceKey(row["type"], row["id"]), int(row["version"]), row["at"])
            for row in found
        ]
