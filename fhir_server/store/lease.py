"""A duty that one process at a time should have: held by name, given up, or lost by silence.

Architecture section 7: background work is leased. It saves work; what must not happen twice is kept from it elsewhere.
"""

import asyncio

from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError

from fhir_server.kernel.identity import random_id
from fhir_server.store.collections import Collections
from fhir_server.store.connection import Document, seam

_MILLISECONDS = 5_000
_RENEWED_AFTER = 1.5


class Lease:
    def __init__(self, collections: Collections, name: str) -> None:
        self._rows, self._name, self._holder = collections.leases, name, random_id()
        self._renewed: float | None = None

    async def hold(self) -> bool:
        """Whether it is ours, for some seconds from now. To be asked again and again."""
        now = asyncio.get_running_loop().time()
        if self._renewed is not None and now - self._renewed < _RENEWED_AFTER:
            return True
        self._renewed = None
        with seam():
            try:
                row = await self._rows.find_one_and_update(
                    {"_id": self._name}, self._taking(), upsert=True, return_document=ReturnDocument.AFTER
                )
            except DuplicateKeyError:
                return False
        if row and row["holder"] == self._holder:
            self._renewed = now
        return self._renewed is not None

    def _taking(self) -> list[Document]:
        """Ours where it is free, else as it was."""
        mine = {"$eq": [{"$ifNull": ["$holder", self._holder]}, self._holder]}
        until = {"$add": ["$$NOW", _MILLISECONDS]}

        def if_free(then: object, name: str) -> Document:
            return {"$cond": [{"$or": [mine, {"$lt": ["$until", "$$NOW"]}]}, then, name]}

        return [{"$set": {"holder": if_free(self._holder, "$holder"), "until": if_free(until, "$until")}}]

    async def release(self) -> None:
        with seam():
            await self._rows.delete_one({"_id": self._name, "holder": self._holder})
