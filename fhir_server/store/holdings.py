"""What is sealed under a patient's own keys, found by these keys, or names them beside others; and the end of keys.

Architecture section 5, sealed-storage section 3.
"""

from collections.abc import Collection, Mapping, Sequence

from pymongo import DESCENDING

from fhir_server.crypto.keyring import Keyring
from fhir_server.crypto.keys import KeyClass, KeyId, KeyRequest
from fhir_server.crypto.rows import KeyRow, pictured
from fhir_server.engine.classification import key_class
from fhir_server.engine.stored import Stored
from fhir_server.kernel.errors import UnavailableError
from fhir_server.kernel.identity import parse_reference
from fhir_server.privacy.ports import Holding, Picture
from fhir_server.privacy.retention import CLASSES
from fhir_server.store.attachments import Attachments
from fhir_server.store.collections import Collections
from fhir_server.store.connection import Document, seam
from fhir_server.store.documents import UNSEARCHED
from fhir_server.store.opening import Opening


class Holdings:
    """privacy.ports.Holdings on MongoDB."""

    def __init__(self, collections: Collections, opening: Opening, attachments: Attachments) -> None:
        self._to, self._opening, self._attachments = collections, opening, attachments
        self._keyring: Keyring = opening.keyring

    async def of(self, patient: str) -> Sequence[Holding]:
        keys = await self._keyring.known([KeyRequest((patient,), record) for record in CLASSES])
        held: list[Holding] = []
        for request, key in keys.items():
            with seam():
                found = await self._to.resources.find({"key": key}, UNSEARCHED, hint="key").to_list(None)
            held += [Holding(stored, request.key_class, key) for stored in await self._opening.rows(found)]
        alone = [one for one in await self.pictures(patient) if one.owners == (patient,)]
        return [*held, *(Holding(one.newest, key_class(one.newest.resource), one.key) for one in alone if one.newest)]

    async def pictures(self, patient: str) -> Sequence[Picture]:
        return [await self._picture(row) for row in await self._keyring.picture_keys(patient)]

    async def _picture(self, row: KeyRow) -> Picture:
        sealed, newest = {"key": row.newest}, [("version", DESCENDING)]
        with seam():
            current = await self._to.resources.find(sealed, UNSEARCHED, hint="key").to_list(None)
            found = current or await self._to.history.find(sealed, hint="key").sort(newest).limit(1).to_list(None)
        opened = await self._opening.rows(found)
        key = parse_reference(pictured(row))
        assert key is not None, "only keys are written into the name of a picture's key"
        return Picture(key, row.owners, row.newest, opened[0] if opened else None, bool(current))

    async def keys(self, patient: str) -> Mapping[KeyClass, bytes]:
        known = await self._keyring.known([KeyRequest((patient,), record) for record in CLASSES])
        return {request.key_class: key for request, key in known.items()}

    async def destroy(self, keys: Collection[bytes], reason: str) -> None:
        """Key first: from then on nothing opens what they sealed, wherever copies of it lie."""
        ids = [KeyId(key) for key in keys]
        await self._keyring.destroy(ids, reason)
        await self._attachments.erase(ids)
        if await self._keyring.open_keys(ids):
            raise UnavailableError("A destroyed key can still be opened; the task runs again.")


class Mentions:
    """privacy.ports.Mentions on MongoDB. Most rows name one patient and are found by its key."""

    def __init__(self, collections: Collections, opening: Opening, holdings: Holdings) -> None:
        self._rows, self._opening, self._holdings = collections.resources, opening, holdings

    async def of(self, patient: str) -> Sequence[Stored]:
        pictures = {one.key for one in await self._holdings.pictures(patient) if one.current and len(one.owners) == 1}
        keys = sorted({*(await self._holdings.keys(patient)).values(), *pictures})
        with seam():
            own: Document = {"key": {"$in": keys}, "deleted": False}
            found = await self._rows.find(own, UNSEARCHED, hint="key").to_list(None)
            shared: Document = {"subjects": patient, "subjects.1": {"$exists": True}, "deleted": False}
            found += await self._rows.find(shared, UNSEARCHED, hint="shared").to_list(None)
        return await self._opening.rows(found)
