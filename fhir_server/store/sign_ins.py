"""Sign-ins and known browsers as rows: found by the hash of the secret that the browser holds.

OWASP ASVS 5 chapter 7. The hash stands in the row, to be found, and in the seal, so that nobody who writes to the
database can put a hash of their own in its place.
"""

import dataclasses
import hashlib
from collections.abc import Collection, Sequence
from datetime import datetime

from pymongo import ASCENDING

from fhir_server.crypto.keyring import Keyring
from fhir_server.crypto.keys import DataKey
from fhir_server.kernel import json
from fhir_server.kernel.errors import UnavailableError
from fhir_server.smart.signin import sign_in_record
from fhir_server.smart.signin.devices import MOST
from fhir_server.smart.signin.sessions import SignIn
from fhir_server.store.collections import Collections
from fhir_server.store.connection import Document, seam
from fhir_server.store.documents import Documents
from fhir_server.store.users import CLINIC


class SignInRows:
    def __init__(self, collections: Collections, documents: Documents, keyring: Keyring) -> None:
        self._rows, self._documents, self._keyring = collections.sign_ins, documents, keyring

    async def add(self, sign_in: SignIn, secret: bytes) -> None:
        document = await self._document(sign_in, secret)
        with seam():
            await self._rows.insert_one(document)

    async def of_secret(self, secret: bytes) -> SignIn | None:
        with seam():
            found = await self._rows.find_one({"secret": secret})
        return await self._opened(found) if found else None

    async def get(self, id: str) -> SignIn | None:
        with seam():
            found = await self._rows.find_one({"_id": id})
        return await self._opened(found) if found else None

    async def of_user(self, user: str) -> Sequence[SignIn]:
        with seam():
            found = await self._rows.find({"owner": user}).to_list(None)
        return [await self._opened(one) for one in found]

    async def replace(self, sign_in: SignIn, secret: bytes | None = None) -> SignIn | None:
        """One that another process ended meanwhile is not brought back."""
        after = dataclasses.replace(sign_in, revision=sign_in.revision + 1)
        place = {"_id": sign_in.id, "revision": sign_in.revision}
        if secret is None:
            with seam():
                found = await self._rows.find_one(place, {"secret": True})
            if found is None:
                return None
            secret = bytes(found["secret"])
        document = await self._document(after, secret)
        with seam():
            result = await self._rows.replace_one(place, document)
        return after if result.matched_count else None

    async def touch(self, id: str, seen: datetime) -> None:
        with seam():
            await self._rows.update_one({"_id": id}, {"$max": {"seen": seen}})

    async def end(self, ids: Collection[str]) -> None:
        with seam():
            await self._rows.delete_many({"_id": {"$in": list(ids)}})

    async def sweep(self, now: datetime) -> None:
        with seam():
            await self._rows.delete_many({"until": {"$lte": now}})

    async def _document(self, sign_in: SignIn, secret: bytes) -> Document:
        plain = json.encode({**sign_in_record.record(sign_in), "secret": secret.hex()})
        return {
            "_id": sign_in.id,
            "secret": secret,
            "owner": sign_in.user,
            "seen": sign_in.seen,
            "until": sign_in.until,
            "revision": sign_in.revision,
            "sealed": self._documents.seal_bytes(plain, "SignIn", sign_in.id, sign_in.revision, await self._key()),
        }

    async def _opened(self, found: Document) -> SignIn:
        id, revision = found["_id"], int(found["revision"])
        plain = self._documents.open_bytes(found["sealed"], "SignIn", id, revision, await self._key())
        kept = json.decode_trusted(plain)
        if kept["secret"] != bytes(found["secret"]).hex() or kept["user"] != found["owner"]:
            raise UnavailableError("A stored sign-in does not open: the row was changed outside this server.")
        return sign_in_record.sign_in(id, found["seen"], revision, kept)

    async def _key(self) -> DataKey:
        return (await self._keyring.data_keys([CLINIC]))[CLINIC]


class DeviceRows:
    def __init__(self, collections: Collections) -> None:
        self._rows = collections.devices

    async def known(self, user: str, device: bytes, now: datetime) -> bool:
        with seam():
            return await self._rows.find_one({"_id": _place(user, device), "until": {"$gt": now}}) is not None

    async def add(self, user: str, device: bytes, now: datetime, until: datetime) -> None:
        row = {"owner": user, "seen": now, "until": until}
        with seam():
            await self._rows.replace_one({"_id": _place(user, device)}, row, upsert=True)
            mine = await self._rows.find({"owner": user}, {"_id": True}).sort("seen", ASCENDING).to_list(None)
            if len(mine) > MOST:
                await self._rows.delete_many({"_id": {"$in": [one["_id"] for one in mine[:-MOST]]}})

    async def count(self, user: str, now: datetime) -> int:
        with seam():
            return await self._rows.count_documents({"owner": user, "until": {"$gt": now}})

    async def forget(self, user: str) -> None:
        with seam():
            await self._rows.delete_many({"owner": user})

    async def sweep(self, now: datetime) -> None:
        with seam():
            await self._rows.delete_many({"until": {"$lte": now}})


def _place(user: str, device: bytes) -> bytes:
    """The same browser has another row for each of its users, and no two of them can be seen to be the same."""
    return hashlib.sha256(user.encode() + b"\0" + device).digest()
