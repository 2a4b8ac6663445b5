"""Rows opened in their order, their keys fetched together.

sealed-storage section 1: the keys of a page in one query cost 14 µs each, one by one 308 µs.
"""

from collections.abc import Sequence

from fhir_server.crypto.keyring import Keyring
from fhir_server.crypto.keys import KeyId
from fhir_server.engine.stored import Stored
from fhir_server.store.connection import Document
from fhir_server.store.documents import Documents


class Opening:
    def __init__(self, documents: Documents, keyring: Keyring) -> None:
        self._documents, self._keyring = documents, keyring

    async def rows(self, found: Sequence[Document]) -> list[Stored]:
        """Rows whose key was destroyed are left out: they do not exist any more."""
        keys = await self._keyring.open_keys({KeyId(document["key"]) for document in found})
        return [self._documents.opened(one, keys[one["key"]]) for one in found if one["key"] in keys]
