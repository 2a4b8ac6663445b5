"""Follow-up work as rows: leased by one worker at a time, kept until it succeeded.

Architecture section 7: background work is leased from a collection; any number of workers may run.
"""

from datetime import datetime, timedelta

from pymongo import ASCENDING, ReturnDocument

from fhir_server.engine.tasks import Leased, Task
from fhir_server.kernel.clock import Clock
from fhir_server.kernel.identity import random_id
from fhir_server.store.collections import Collections
from fhir_server.store.connection import Document, seam

_LEASE = timedelta(seconds=60)
_LONGEST_DELAY = timedelta(minutes=10)
_FIRST_DELAY = timedelta(seconds=1)


def task_document(task: Task, now: datetime) -> Document:
    """A task that is due at once. It names a patient by id and nothing else."""
    return {
        "_id": random_id(),
        "name": task.name,
        "patient": task.patient,
        "cause": task.cause,
        "due": now,
        "attempts": 0,
    }


class TaskRows:
    def __init__(self, collections: Collections, clock: Clock) -> None:
        self._rows, self._clock = collections.tasks, clock

    async def lease(self) -> Leased | None:
        """The next due task; another worker sees it again only when the lease has run out."""
        now = self._clock.now()
        with seam():
            found = await self._rows.find_one_and_update(
                {"due": {"$lte": now}},
                {"$set": {"due": now + _LEASE}, "$inc": {"attempts": 1}},
                sort=[("due", ASCENDING)],
                return_document=ReturnDocument.AFTER,
            )
        if found is None:
            return None
        return Leased(found["_id"], Task(found["name"], found["patient"], found["cause"]), found["attempts"])

    async def done(self, leased: Leased) -> None:
        with seam():
            await self._rows.delete_one({"_id": leased.id})

    async def postpone(self, leased: Leased) -> None:
        """A failed task waits twice as long each time, at most ten minutes; it is never dropped."""
        delay = min(_LONGEST_DELAY, _FIRST_DELAY * 2 ** min(leased.attempts - 1, 10))
        with seam():
            await self._rows.update_one({"_id": leased.id}, {"$set": {"due": self._clock.now() + delay}})
