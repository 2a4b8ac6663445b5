"""The keys with which tokens are signed, as rows: private halves sealed, one row a number, so that none is made twice.

RFC 7517. Their life is `smart.oidc.signing_keys`' to decide.
"""

from collections.abc import Sequence

from pymongo import ASCENDING
from pymongo.errors import DuplicateKeyError

from fhir_server.crypto.keys import DataKey
from fhir_server.kernel import json
from fhir_server.kernel.json import Json
from fhir_server.smart.ports import KeyRow
from fhir_server.store.collections import Collections
from fhir_server.store.connection import seam
from fhir_server.store.documents import Documents


class SigningKeyRows:
    def __init__(self, collections: Collections, documents: Documents, key: DataKey) -> None:
        self._rows, self._documents, self._key = collections.signing_keys, documents, key

    async def all(self) -> Sequence[KeyRow]:
        """In the order of their numbers."""
        with seam():
            found = await self._rows.find({}).sort("_id", ASCENDING).to_list()
        return [KeyRow(row["_id"], row["created"], self._opened(row["_id"], row["sealed"])) for row in found]

    async def add(self, row: KeyRow) -> bool:
        """False where another process made that number."""
        sealed = self._documents.seal_bytes(json.encode(row.jwk), "SigningKey", str(row.number), 1, self._key)
        with seam():
            try:
                await self._rows.insert_one({"_id": row.number, "created": row.created, "sealed": sealed})
            except DuplicateKeyError:
                return False
        return True

    async def remove(self, numbers: Sequence[int]) -> None:
        with seam():
            await self._rows.delete_many({"_id": {"$in": list(numbers)}})

    def _opened(self, number: int, sealed: bytes) -> Json:
        found: Json = json.decode_trusted(self._documents.open_bytes(sealed, "SigningKey", str(number), 1, self._key))
        return found
