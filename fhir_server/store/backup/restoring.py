"""Puts a backup back into an empty place: the keys, then the data, then the index. All of it, or nothing is left there.

S63; sealed-storage section 3: keys older than the data are refused, and so is a key that is neither there nor on the
list of destroyed ones. The steps:

1. Refuse a place that holds anything; mark it, so that no server starts on half a restore.
2. The keys, each row compared; the list of destroyed keys is whole, and as long as the data know it.
3. The signatures of both manifests, with the key that came with the keys.
4. The data, compared on the way and once more as they lie.
5. What was left out: tokens, indexes. Then the mark goes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pymongo import ASCENDING
from pymongo.asynchronous.database import AsyncDatabase

from fhir_server.crypto.destroyed import DestroyedKey, tally_of
from fhir_server.crypto.errors import ArchiveError
from fhir_server.crypto.jws import stated_payload, verify_jws
from fhir_server.crypto.keyring import Keyring
from fhir_server.crypto.keys import KeyClass, KeyId
from fhir_server.crypto.providers.port import RootKeyProvider
from fhir_server.crypto.rows import WrapperKind
from fhir_server.crypto.signing import Signer
from fhir_server.kernel.clock import Clock
from fhir_server.store import collections, keys
from fhir_server.store.backup.creating import NAME, opened
from fhir_server.store.backup.folder import Folder
from fhir_server.store.backup.loading import compare, load
from fhir_server.store.backup.manifest import MANIFEST_TYPE, Kind, Manifest, manifest
from fhir_server.store.backup.rebuilding import Rebuilding, Rebuilt
from fhir_server.store.collections import RESTORING
from fhir_server.store.connection import Client, Document, connect, seam
from fhir_server.store.documents import NewBytes

_KEY_PARTS = ("destroyed", "keys")
_KEYS_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Restored:
    data: Manifest
    keys: Manifest
    rebuilt: Rebuilt


@dataclass(frozen=True, slots=True)
class _Source:
    folder: Folder
    signed: str
    stated: Manifest


def stated(kind: Kind, path: Path) -> Manifest:
    """What a backup says of itself. Nobody has looked yet whether it is so."""
    return _source(kind, path).stated


class Restoring:
    """Into one clinic's databases on `uri`. `said` is told how far it is."""

    def __init__(
        self,
        uri: str,
        provider: RootKeyProvider,
        clock: Clock,
        new_bytes: NewBytes,
        said: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._uri, self._provider, self._clock, self._new_bytes, self._said = uri, provider, clock, new_bytes, said

    async def run(self, data: Path, keys: Path) -> Restored:
        """Raises ArchiveError for the first difference, and then the place is empty again."""
        of_data, of_keys = _source("data", data), _source("keys", keys)
        clinic = of_data.stated.clinic
        if of_keys.stated.clinic != clinic:
            raise ArchiveError("The keys are those of another clinic.")
        client = connect(self._uri)
        try:
            databases = [client[clinic], client[f"{clinic}_keys"]]
            await _require_empty(databases)
            try:
                return await self._restored(client, of_data, of_keys)
            except BaseException:
                for database in databases:
                    await client.drop_database(database.name)
                raise
        finally:
            await client.close()

    async def open_keys(self, path: Path) -> int:
        """Restore a backup of the keys alone and open every key in it. How many? The place is empty again after it."""
        source = _source("keys", path)
        client = connect(self._uri)
        try:
            database = client[f"{source.stated.clinic}_keys"]
            await _require_empty([database])
            try:
                key_store = keys.Keys(client, source.stated.clinic)
                keyring = Keyring(key_store, self._provider, self._new_bytes, self._clock)
                await self._loaded(source, database, keyring)
                await _require_destroyed(database, [source.stated])
                await collections.prepare(database, keys.INDEXES)
                verify_jws(source.signed, await _signer(keyring), MANIFEST_TYPE)
                return await _opened_all(database, keyring)
            finally:
                await client.drop_database(database.name)
        finally:
            await client.close()

    async def _restored(self, client: Client, data: _Source, wrapped: _Source) -> Restored:
        clinic = data.stated.clinic
        database = client[clinic]
        with seam():
            await database[RESTORING].insert_one({"_id": data.stated.id})
        key_store = keys.Keys(client, clinic)
        keyring = Keyring(key_store, self._provider, self._new_bytes, self._clock)
        await self._loaded(wrapped, key_store.database, keyring)
        await _require_destroyed(key_store.database, (wrapped.stated, data.stated))
        public = await _signer(keyring)
        for source in (wrapped, data):
            verify_jws(source.signed, public, MANIFEST_TYPE)
        await self._loaded(data, database, keyring)
        self._said("The rows are as the manifest says; rebuilding the index.")
        rebuilding = Rebuilding(client, clinic, data.stated.base, keyring, self._clock, self._new_bytes)
        rebuilt = await rebuilding.run()
        await collections.prepare(key_store.database, keys.INDEXES)
        await collections.prepare(database, collections.INDEXES)
        with seam():
            await database.drop_collection(RESTORING)
        return Restored(data.stated, wrapped.stated, rebuilt)

    async def _loaded(self, source: _Source, database: AsyncDatabase[Document], keyring: Keyring) -> None:
        opener = source.folder.opener()
        if opener is None or opener.id.hex() != source.stated.id:
            raise ArchiveError("The manifest is that of another backup.")
        archive = await opened(opener, keyring, self._provider, self._new_bytes)
        for part in source.stated.parts:
            await load(source.folder, archive, part, database)
        for part in source.stated.parts:
            await compare(part, database)
            self._said(f"{part.name}: {part.rows} rows")


async def _signer(keyring: Keyring) -> bytes:
    return Signer(await keyring.named(NAME, KeyClass.SIGNING)).public


async def _opened_all(database: AsyncDatabase[Document], keyring: Keyring) -> int:
    """Every data key. Raises OpeningError or ProviderError where one does not open."""
    with seam():
        cursor = database["keys"].find({"kind": {"$nin": [str(kind) for kind in WrapperKind]}}, {"wraps.key": 1})
        ids = [KeyId(row["wraps"][-1]["key"]) async for row in cursor]
    for at in range(0, len(ids), _KEYS_AT_ONCE):
        await keyring.open_keys(ids[at : at + _KEYS_AT_ONCE])
    return len(ids)


def _source(kind: Kind, path: Path) -> _Source:
    folder = Folder(path)
    opener = folder.opener()
    if opener is None:
        raise ArchiveError(f"{path} holds no backup.")
    if opener.kind != kind:
        raise ArchiveError(f"{path} holds a backup of the {opener.kind}.")
    signed = folder.manifest()
    found = manifest(stated_payload(signed))
    if found.kind != kind or (kind == "keys" and tuple(sorted(found.rows)) != _KEY_PARTS):
        raise ArchiveError("The manifest is that of another backup.")
    return _Source(folder, signed, found)


async def _require_empty(databases: Sequence[AsyncDatabase[Document]]) -> None:
    for database in databases:
        with seam():
            for name in await database.list_collection_names():
                if await database[name].find_one({}, {"_id": 1}) is not None:
                    raise ArchiveError(f"The database {database.name} is not empty; nothing was restored.")
                await database.drop_collection(name)


async def _require_destroyed(database: AsyncDatabase[Document], stated: Sequence[Manifest]) -> None:
    """The list is whole, and it has every entry that was there when the data were backed up."""
    with seam():
        found = await database["destroyed"].find({}).sort("_id", ASCENDING).to_list(None)
    entries = [DestroyedKey(e["_id"], KeyId(e["key"]), e["instant"], e["reason"], e["sha256"]) for e in found]
    tally_of(entries)
    for one in stated:
        if len(entries) < one.destroyed:
            raise ArchiveError(
                f"The keys are older than the data: {len(entries)} were destroyed by then, {one.destroyed} later."
            )
        if one.destroyed and entries[one.destroyed - 1].sha256.hex() != one.destroyed_digest:
            raise ArchiveError("The list of destroyed keys is another one than that of the data.")
