"""Counts of failed attempts and what is good for one use, as rows that all processes share.

NIST SP 800-63B-4 section 3.2.2. What is counted is named by a keyed token: a row tells of no user and no address.
"""

import hashlib
from datetime import datetime

from pymongo.errors import DuplicateKeyError

from fhir_server.crypto.tokens import Tokenizer
from fhir_server.smart.signin.lockout import FORGOTTEN_AFTER, Tally
from fhir_server.store.collections import Collections
from fhir_server.store.connection import Document, seam

_COUNT = "attempts"


class TallyRows:
    def __init__(self, collections: Collections, tokenizer: Tokenizer) -> None:
        self._rows, self._tokenizer = collections.attempts, tokenizer

    async def tally(self, key: str) -> Tally | None:
        with seam():
            found = await self._rows.find_one({"_id": self._id(key)})
        return Tally(found["failures"], found["open"], found["last"]) if found else None

    async def swap(self, key: str, before: Tally | None, after: Tally) -> bool:
        place, row = {"_id": self._id(key)}, _row(after)
        with seam():
            if before is not None:
                seen = {"failures": before.failures, "open": before.open, "last": before.last}
                return (await self._rows.replace_one({**place, **seen}, row)).matched_count == 1
            try:
                await self._rows.insert_one({**place, **row})
            except DuplicateKeyError:
                return False
            return True

    async def forget(self, key: str) -> None:
        with seam():
            await self._rows.delete_one({"_id": self._id(key)})

    async def sweep(self, now: datetime) -> None:
        with seam():
            await self._rows.delete_many({"until": {"$lte": now}})

    def _id(self, key: str) -> int:
        return self._tokenizer.token(_COUNT, key)


class SpentRows:
    def __init__(self, collections: Collections) -> None:
        self._rows = collections.spent

    async def spend(self, value: bytes, until: datetime) -> bool:
        with seam():
            try:
                await self._rows.insert_one({"_id": hashlib.sha256(value).digest(), "until": until})
            except DuplicateKeyError:
                return False
            return True

    async def sweep(self, now: datetime) -> None:
        with seam():
            await self._rows.delete_many({"until": {"$lte": now}})


def _row(tally: Tally) -> Document:
    return {
        "failures": tally.failures,
        "open": tally.open,
        "last": tally.last,
        "until": max(tally.open, tally.last + FORGOTTEN_AFTER),
    }
