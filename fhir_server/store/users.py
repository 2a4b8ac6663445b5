"""Users as rows: sealed under the clinic's key, found by a keyed token of their name.

Architecture section 4: who works at a clinic, and who is a patient with a sign-in, stands nowhere in clear.
"""

import dataclasses
from collections.abc import Sequence
from datetime import UTC, datetime

from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.errors import DuplicateKeyError

from fhir_server.crypto.keyring import Keyring
from fhir_server.crypto.keys import DataKey, KeyClass, KeyRequest
from fhir_server.crypto.tokens import Tokenizer
from fhir_server.kernel import json
from fhir_server.kernel.errors import UnavailableError
from fhir_server.smart.signin import user_record
from fhir_server.smart.signin.factor_reset import Asked
from fhir_server.smart.signin.users import User
from fhir_server.store.collections import Collections
from fhir_server.store.connection import Document, seam
from fhir_server.store.documents import Documents
from fhir_server.store.recorded_rows import RecordedRows
from fhir_server.store.row_seals import RowSeal, row_seal

CLINIC = KeyRequest((), KeyClass.CLINIC)
_NAME = "User.username"


class UserRows:
    """What is written here is written by way of `recorded`."""

    def __init__(
        self,
        collections: Collections,
        documents: Documents,
        keyring: Keyring,
        tokenizer: Tokenizer,
        recorded: RecordedRows,
    ) -> None:
        self._rows, self._documents, self._recorded = collections.users, documents, recorded
        self._keyring, self._tokenizer = keyring, tokenizer

    async def named(self, username: str) -> User | None:
        """A token finds a candidate; the opened row says whether it is the one."""
        with seam():
            found = await self._rows.find_one({"token": self._tokenizer.token(_NAME, username)})
        user = await self._opened(found) if found else None
        return user if user and user.username == username else None

    async def get(self, id: str) -> User | None:
        with seam():
            found = await self._rows.find_one({"_id": id})
        return await self._opened(found) if found else None

    async def add(self, user: User) -> bool:
        document = await self._document(user)

        async def write(session: AsyncClientSession) -> bool:
            await self._rows.insert_one(document, session=session)
            return True

        with seam():
            try:
                return await self._recorded.write(_seal(document), write)
            except DuplicateKeyError:
                return False

    async def replace(self, user: User) -> User | None:
        after = dataclasses.replace(user, revision=user.revision + 1)
        document = await self._document(after)
        expected = {"_id": user.id, "revision": user.revision}

        async def write(session: AsyncClientSession) -> bool:
            return (await self._rows.replace_one(expected, document, session=session)).matched_count == 1

        with seam():
            written = await self._recorded.write(_seal(document), write)
        return after if written else None

    async def all(self) -> Sequence[User]:
        with seam():
            found = await self._rows.find({}).to_list(None)
        return sorted([await self._opened(one) for one in found], key=lambda user: user.username)

    async def rebuild(self) -> None:
        """The token of each row anew, from what is sealed in it: a backup holds none."""
        with seam():
            found = await self._rows.find({}).to_list(None)
            for one in found:
                token = self._tokenizer.token(_NAME, (await self._sealed(one)).username)
                await self._rows.update_one({"_id": one["_id"]}, {"$set": {"token": token}})

    async def _document(self, user: User) -> Document:
        plain = json.encode(user_record.record(user))
        sealed = self._documents.seal_bytes(plain, "User", user.id, user.revision, await self._key())
        token = self._tokenizer.token(_NAME, user.username)
        return {"_id": user.id, "token": token, "revision": user.revision, "sealed": sealed}

    async def _opened(self, found: Document) -> User:
        user = await self._sealed(found)
        if found["token"] != self._tokenizer.token(_NAME, user.username):
            raise UnavailableError("A stored user does not open: the row was changed outside this server.")
        return user

    async def _sealed(self, found: Document) -> User:
        id, revision = found["_id"], int(found["revision"])
        plain = self._documents.open_bytes(found["sealed"], "User", id, revision, await self._key())
        return user_record.user(id, revision, json.decode_trusted(plain))

    async def _key(self) -> DataKey:
        return (await self._keyring.data_keys([CLINIC]))[CLINIC]


def _seal(document: Document) -> RowSeal:
    return row_seal(f"User/{document['_id']}", document["revision"], document["sealed"])


class ResetRequestRows:
    """Which administrator asked for whose factor to be reset; sealed, so that no row can be made up."""

    def __init__(self, collections: Collections, documents: Documents, keyring: Keyring) -> None:
        self._rows, self._documents, self._keyring = collections.factor_resets, documents, keyring

    async def asked(self, user: str) -> Asked | None:
        with seam():
            found = await self._rows.find_one({"_id": user})
        if found is None:
            return None
        kept = json.decode_trusted(
            self._documents.open_bytes(found["sealed"], "FactorReset", user, 1, await self._key())
        )
        return Asked(user, kept["by"], datetime.fromisoformat(kept["at"]))

    async def ask(self, asked: Asked) -> None:
        plain = json.encode({"by": asked.by, "at": asked.at.astimezone(UTC).isoformat()})
        sealed = self._documents.seal_bytes(plain, "FactorReset", asked.user, 1, await self._key())
        with seam():
            await self._rows.replace_one({"_id": asked.user}, {"sealed": sealed}, upsert=True)

    async def forget(self, user: str) -> None:
        with seam():
            await self._rows.delete_one({"_id": user})

    async def _key(self) -> DataKey:
        return (await self._keyring.data_keys([CLINIC]))[CLINIC]
