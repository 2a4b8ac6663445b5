"""Grants and refresh tokens as rows: what each holds is sealed, codes and tokens are there as hashes alone.

RFC 6749 section 10; RFC 9700 sections 2.1.1 and 4.14. Synchronous: used in the OAuth server's worker threads. Clear are
the ids of what ends a grant (`owners`), its state and when the row may go.
"""

from datetime import datetime

from pymongo import ReturnDocument

from fhir_server.crypto.keys import DataKey
from fhir_server.smart.grant import Grant, decoded
from fhir_server.smart.ports import Granted, Refresh
from fhir_server.store.connection import Document, seam
from fhir_server.store.documents import Documents
from fhir_server.store.synchronous import Rows

LIVE, ENDED = "live", "ended"
_VERSION = 1


class GrantRows:
    def __init__(self, grants: Rows, refresh_tokens: Rows, documents: Documents, key: DataKey) -> None:
        self._grants, self._refresh = grants, refresh_tokens
        self._documents, self._key = documents, key

    def add(self, grant: Grant, expires: datetime, code: bytes | None = None) -> None:
        document: Document = {
            "_id": grant.id,
            "owners": list(grant.owners),
            "state": LIVE,
            "redeemed": code is None,
            "expires": expires,
            "sealed": self._documents.seal_bytes(grant.encoded(), "Grant", grant.id, _VERSION, self._key),
        }
        if code is not None:
            document["code"] = code
        with seam():
            self._grants.insert_one(document)

    def get(self, id: str) -> Granted | None:
        return self._granted({"_id": id})

    def by_code(self, code: bytes) -> Granted | None:
        return self._granted({"code": code})

    def redeem(self, id: str, expires: datetime) -> bool:
        """The one moment at which a code is used up, in whatever process."""
        with seam():
            unused = {"_id": id, "state": LIVE, "redeemed": False}
            found = self._grants.update_one(unused, {"$set": {"redeemed": True, "expires": expires}})
        return found.matched_count == 1

    def end(self, id: str, reason: str) -> bool:
        """False where it had ended before, or never was. Everywhere in force when this returns."""
        with seam():
            found = self._grants.update_one(
                {"_id": id, "state": LIVE}, {"$set": {"state": ENDED, "reason": reason, "redeemed": True}}
            )
        return found.matched_count == 1

    def add_refresh(self, token: bytes, grant: str, expires: datetime) -> None:
        with seam():
            self._refresh.insert_one({"_id": token, "owner": grant, "used": False, "expires": expires})

    def refresh(self, token: bytes) -> Refresh | None:
        with seam():
            found = self._refresh.find_one({"_id": token})
        return Refresh(found["owner"], found["used"]) if found else None

    def use_refresh(self, token: bytes) -> bool:
        """True for the first who uses it, in whatever process."""
        with seam():
            found = self._refresh.find_one_and_update(
                {"_id": token, "used": False}, {"$set": {"used": True}}, return_document=ReturnDocument.AFTER
            )
        return found is not None

    def _granted(self, wanted: Document) -> Granted | None:
        with seam():
            found = self._grants.find_one(wanted)
        if found is None:
            return None
        plain = self._documents.open_bytes(found["sealed"], "Grant", found["_id"], _VERSION, self._key)
        return Granted(decoded(found["_id"], plain), found["state"] == LIVE, found["redeemed"])
