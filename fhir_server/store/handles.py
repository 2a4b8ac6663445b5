"""One-time things by the hash of what opens them: waiting authorization requests, launch handles, used assertions.

RFC 7523 section 3 (jti), SMART App Launch 2.2 "launch". Synchronous, and the same in every process: the row's own id is
what makes a thing happen once. Rows go by themselves some time after their end, which is checked here.
"""

import hashlib
from datetime import datetime

from pymongo.errors import DuplicateKeyError

from fhir_server.crypto.keys import DataKey
from fhir_server.store.connection import Document, seam
from fhir_server.store.documents import Documents
from fhir_server.store.synchronous import Rows

_VERSION = 1


class Handles:
    def __init__(self, rows: Rows, documents: Documents, key: DataKey) -> None:
        self._rows, self._documents, self._key = rows, documents, key

    def put(self, kind: str, opens: str, content: bytes, expires: datetime) -> None:
        id = _id(kind, opens)
        sealed = self._documents.seal_bytes(content, kind, id.hex(), _VERSION, self._key)
        with seam():
            self._rows.insert_one({"_id": id, "sealed": sealed, "expires": expires})

    def peek(self, kind: str, opens: str, now: datetime) -> bytes | None:
        with seam():
            found = self._rows.find_one({"_id": _id(kind, opens), "expires": {"$gt": now}})
        return self._opened(kind, found)

    def take(self, kind: str, opens: str, now: datetime) -> bytes | None:
        """None for everybody but the first."""
        with seam():
            found = self._rows.find_one_and_delete({"_id": _id(kind, opens), "expires": {"$gt": now}})
        return self._opened(kind, found)

    def once(self, kind: str, name: str, expires: datetime) -> bool:
        """True for the first who says this name, in whatever process, until it expires."""
        with seam():
            try:
                self._rows.insert_one({"_id": _id(kind, name), "expires": expires})
            except DuplicateKeyError:
                return False
        return True

    def _opened(self, kind: str, found: Document | None) -> bytes | None:
        if found is None:
            return None
        return self._documents.open_bytes(found["sealed"], kind, found["_id"].hex(), _VERSION, self._key)


def _id(kind: str, opens: str) -> bytes:
    return hashlib.sha256(f"{kind}\0{opens}".encode("utf-8", "surrogatepass")).digest()
