"""Whoever rebuilds the index holds a lease on it: two would undo each other's work.

sealed-storage section 2. A lease that nobody renews ends by itself, so that a run that was killed can be taken up.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fhir_server.kernel.clock import Clock
from fhir_server.kernel.errors import ConflictError
from fhir_server.kernel.identity import random_id
from fhir_server.store.connection import Document
from fhir_server.store.layouts import Layouts

LEASE = 30.0
_RENEWAL = 5.0


class LoneRunner:
    def __init__(self, layouts: Layouts, clock: Clock) -> None:
        self._layouts, self._clock, self._id = layouts, clock, random_id()

    @property
    def held(self) -> Document:
        """The condition that the lease is ours."""
        return {"runner.id": self._id}

    @asynccontextmanager
    async def holding(self) -> AsyncIterator[None]:
        """Raises ConflictError while somebody else holds it."""
        free = {"$or": [{"runner": {"$exists": False}}, {"runner.until": {"$lt": self._clock.now().timestamp()}}]}
        if not await self._layouts.change(free, {"$set": {"runner": {"id": self._id, "until": self._until()}}}):
            raise ConflictError("The search index is being rebuilt already, or was until half a minute ago.")
        try:
            yield
        finally:
            await self._layouts.change(self.held, {"$unset": {"runner": ""}})

    async def change(self, update: Document) -> None:
        """One step, and some more time for the next. Raises ConflictError where somebody else took over."""
        change = {**update, "$set": {**update.get("$set", {}), "runner.until": self._until()}}
        if not await self._layouts.change(self.held, change):
            raise ConflictError("Somebody else took over rebuilding the search index.")

    async def wait(self, until: float) -> None:
        """Until that time of the event loop, without letting go."""
        while (left := until - asyncio.get_running_loop().time()) > 0:
            await asyncio.sleep(min(left, _RENEWAL))
            await self.change({})

    def _until(self) -> float:
        return self._clock.now().timestamp() + LEASE
