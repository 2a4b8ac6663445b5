"""Registered clients as rows, sealed: their addresses and keys say with whom a clinic works.

Synchronous: read in the OAuth server's worker threads. What was opened is kept by revision, so that a request costs one
look at the row and no parsing.
"""

from collections.abc import Sequence

from pymongo import ASCENDING
from pymongo.errors import DuplicateKeyError

from fhir_server.crypto.keys import DataKey
from fhir_server.smart.clients.client import Client, decoded
from fhir_server.store.connection import Document, seam
from fhir_server.store.documents import Documents
from fhir_server.store.synchronous import Rows

_MOST_KEPT = 1000


class ClientRows:
    def __init__(self, rows: Rows, documents: Documents, key: DataKey) -> None:
        self._rows, self._documents, self._key = rows, documents, key
        self._kept: dict[tuple[str, int], Client] = {}

    def get(self, client_id: str) -> Client | None:
        with seam():
            found = self._rows.find_one({"_id": client_id})
        return self._opened(found) if found else None

    def all(self) -> Sequence[Client]:
        with seam():
            found = list(self._rows.find({}).sort("_id", ASCENDING))
        return [self._opened(document) for document in found]

    def save(self, client: Client) -> bool:
        """False where the id is taken, or somebody else changed it since it was read."""
        sealed = self._documents.seal_bytes(client.encoded(), "Client", client.client_id, client.revision, self._key)
        document: Document = {"_id": client.client_id, "revision": client.revision, "sealed": sealed}
        with seam():
            if client.revision > 1:
                before = {"_id": client.client_id, "revision": client.revision - 1}
                return self._rows.replace_one(before, document).matched_count == 1
            try:
                self._rows.insert_one(document)
            except DuplicateKeyError:
                return False
        return True

    def _opened(self, found: Document) -> Client:
        id, revision = found["_id"], int(found["revision"])
        kept = self._kept.get((id, revision))
        if kept is None:
            kept = decoded(id, revision, self._documents.open_bytes(found["sealed"], "Client", id, revision, self._key))
            if len(self._kept) > _MOST_KEPT:
                self._kept.clear()
            self._kept[id, revision] = kept
        return kept
