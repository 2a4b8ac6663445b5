"""Takes a backup: first of the data, then, into another place, of the keys. Killed, it goes on where it stopped.

S62; sealed-storage section 3. Every row is read as of one instant, which is kept while a backup is unfinished. The keys
come after the data, so that they open all of it that was not erased meanwhile.

The key for the data is a named key of the clinic's: it stays when the root rotates, so an old backup of the data opens
with the newest backup of the keys. A backup of keys has a key of its own, wrapped by the root's version of that day: it
opens no longer once that version was destroyed, and then nothing in it does.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import bson
from pymongo.asynchronous.database import AsyncDatabase

from fhir_server.crypto.archive import ID_BYTES, Archive, unwrapped_secret, wrapped_secret
from fhir_server.crypto.destroyed import Tally
from fhir_server.crypto.errors import ArchiveError
from fhir_server.crypto.jws import sign_jws
from fhir_server.crypto.keyring import Keyring
from fhir_server.crypto.keys import KEY_BYTES, KeyClass
from fhir_server.crypto.providers.port import RootKeyProvider
from fhir_server.crypto.signing import Signer
from fhir_server.kernel.clock import Clock, instant
from fhir_server.store.backup import rows
from fhir_server.store.backup.folder import Folder, Opener
from fhir_server.store.backup.manifest import EMPTY, MANIFEST_TYPE, Kind, Manifest, Part, chained
from fhir_server.store.connection import Document, connect
from fhir_server.store.documents import NewBytes
from fhir_server.store.keys import Keys

NAME = "backups"
PIECE_BYTES = 4 << 20
_PROGRESS = "progress"


@dataclass(frozen=True, slots=True)
class _Under:
    """The part that is being written: `pieces` of it are durable, the last of them ends with the row `after`."""

    part: Part
    after: Any = None

    def and_piece(self, batch: "_Batch") -> "_Under":
        part = replace(
            self.part,
            rows=self.part.rows + batch.rows,
            pieces=self.part.pieces + 1,
            bytes=self.part.bytes + len(batch.plain),
            digest=batch.digest.hex(),
        )
        return _Under(part, rows.id_of(batch.last) if batch.last else self.after)


@dataclass(slots=True)
class _Batch:
    digest: bytes
    plain: bytearray
    rows: int = 0
    last: bytes = b""

    def add(self, row: bytes) -> None:
        self.digest, self.rows, self.last = chained(self.digest, row), self.rows + 1, row
        self.plain += row


class Backups:
    """Of one clinic. `said` is told how far it is."""

    def __init__(
        self,
        database: AsyncDatabase[Document],
        key_store: Keys,
        keyring: Keyring,
        provider: RootKeyProvider,
        clock: Clock,
        new_bytes: NewBytes,
        base: str,
        said: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._database, self._key_store, self._keyring = database, key_store, keyring
        self._provider, self._clock, self._new_bytes = provider, clock, new_bytes
        self._base, self._said = base, said

    async def create(self, data: Path, keys: Path) -> tuple[Manifest, Manifest]:
        """Both, one after the other. Raises ArchiveError where a place is in use, or one lies inside the other."""
        require_apart(data, keys)
        return await self.of("data", data), await self.of("keys", keys)

    async def of(self, kind: Kind, path: Path) -> Manifest:
        """A backup that was finished is never touched again."""
        folder = Folder(path)
        if folder.is_finished():
            raise ArchiveError(f"{path} holds a finished backup already.")
        opener = folder.opener()
        if opener is None and not folder.is_empty():
            raise ArchiveError(f"{path} is not empty.")
        if opener is not None and opener.kind != kind:
            raise ArchiveError(f"{path} holds a backup of the {opener.kind}.")
        folder.make()
        # There before the instant that the backup shows, so that a backup of the keys holds what verifies and opens it.
        for key_class in (KeyClass.SIGNING, KeyClass.BACKUP):
            await self._keyring.named(NAME, key_class)
        try:
            return await self._taken(kind, folder, opener)
        except rows.SnapshotGoneError:
            if opener is None:
                raise
        self._said("The database does not keep that instant any longer: beginning again.")
        folder.clear()
        return await self._taken(kind, folder, None)

    async def _taken(self, kind: Kind, folder: Folder, opener: Opener | None) -> Manifest:
        if opener is None:
            opener = await self._begun(kind, folder)
        archive = await opened(opener, self._keyring, self._provider, self._new_bytes)
        database = self._database if kind == "data" else self._key_store.database
        sealed = folder.progress()
        if sealed is None:
            tally = await self._key_store.tally()
            state = await self._first(kind, database, opener, tally)
            await self._noted(folder, archive, state)
        else:
            state = bson.decode(archive.open(_PROGRESS, 0, sealed, final=True), rows.DECODED)
        while state["left"]:
            await self._part(folder, archive, database, state)
        parts = tuple(Part(**part) for part in state["parts"])
        manifest = Manifest(parts=parts, **state["head"])
        folder.finish(await self._signed(manifest))
        return manifest

    async def _begun(self, kind: Kind, folder: Folder) -> Opener:
        id = self._new_bytes(ID_BYTES)
        wrapped = await wrapped_secret(self._provider, id, self._new_bytes(KEY_BYTES)) if kind == "keys" else None
        opener = Opener(kind, id, wrapped)
        folder.begin(opener)
        return opener

    async def _first(
        self, kind: Kind, database: AsyncDatabase[Document], opener: Opener, destroyed: Tally
    ) -> dict[str, Any]:
        """Where a backup begins. The list of destroyed keys is at least as long as it says."""
        at = await rows.now(database)
        head = {
            "kind": kind,
            "id": opener.id.hex(),
            "clinic": self._database.name,
            "base": self._base,
            "instant": instant(self._clock.now()),
            "destroyed": destroyed.count,
            "destroyed_digest": destroyed.sha256.hex(),
        }
        return {"at": at, "head": head, "parts": [], "left": await rows.names(database), "under": None}

    async def _part(
        self, folder: Folder, archive: Archive, database: AsyncDatabase[Document], state: dict[str, Any]
    ) -> None:
        """One collection, or what is left of it. After each piece it is written down how far it came."""
        name = state["left"][0]
        kept = state["under"]
        under = _Under(Part(**kept["part"]), kept["after"]) if kept else _Under(Part(name, 0, 0, 0, EMPTY.hex()))
        batch = _Batch(bytes.fromhex(under.part.digest), bytearray())
        async with aclosing(rows.rows(database, name, state["at"], under.after)) as found:
            async for row in found:
                if batch.rows and len(batch.plain) + len(row) > PIECE_BYTES:
                    under = await self._written(folder, archive, under, batch, final=False)
                    state["under"] = {"part": asdict(under.part), "after": under.after}
                    await self._noted(folder, archive, state)
                    batch = _Batch(batch.digest, bytearray())
                batch.add(row)
        under = await self._written(folder, archive, under, batch, final=True)
        state |= {"parts": [*state["parts"], asdict(under.part)], "left": state["left"][1:], "under": None}
        await self._noted(folder, archive, state)
        self._said(f"{name}: {under.part.rows} rows")

    async def _written(self, folder: Folder, archive: Archive, under: _Under, batch: _Batch, *, final: bool) -> _Under:
        name, number = under.part.name, under.part.pieces

        def write() -> None:
            folder.write_piece(name, number, archive.seal(name, number, bytes(batch.plain), final=final))

        await asyncio.to_thread(write)
        return under.and_piece(batch)

    async def _noted(self, folder: Folder, archive: Archive, state: dict[str, Any]) -> None:
        sealed = archive.seal(_PROGRESS, 0, bson.encode(state), final=True)
        await asyncio.to_thread(folder.write_progress, sealed)

    async def _signed(self, manifest: Manifest) -> str:
        secret = await self._keyring.named(NAME, KeyClass.SIGNING)
        return sign_jws(manifest.encode(), secret, Signer(secret).public, NAME, MANIFEST_TYPE)


def require_apart(data: Path, keys: Path) -> None:
    first, second = data.resolve(), keys.resolve()
    if first.is_relative_to(second) or second.is_relative_to(first):
        raise ArchiveError("Data and keys are backed up into two places, neither of them inside the other.")


async def opened(opener: Opener, keyring: Keyring, provider: RootKeyProvider, new_bytes: NewBytes) -> Archive:
    """Raises ProviderError where the root's version is gone that a backup of keys needs."""
    if opener.wrapped:
        secret = await unwrapped_secret(provider, opener.id, opener.wrapped)
    else:
        secret = await keyring.named(NAME, KeyClass.BACKUP)
    return Archive(secret, opener.id, new_bytes)


@asynccontextmanager
async def open_backups(
    uri: str,
    database: str,
    base: str,
    provider: RootKeyProvider,
    clock: Clock,
    new_bytes: NewBytes,
    said: Callable[[str], None] = lambda _: None,
) -> AsyncIterator[Backups]:
    """Connected to a clinic that was served before."""
    client = connect(uri)
    try:
        key_store = Keys(client, database)
        keyring = Keyring(key_store, provider, new_bytes, clock)
        yield Backups(client[database], key_store, keyring, provider, clock, new_bytes, base, said)
    finally:
        await client.close()
