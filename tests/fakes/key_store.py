"""A key store and a root key provider in memory, made so that a test can interleave, crash and steal."""

import dataclasses
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime

from fhir_server.crypto.destroyed import DestroyedKey, Tally, appended
from fhir_server.crypto.errors import ProviderError
from fhir_server.crypto.keys import KeyClass, KeyId
from fhir_server.crypto.providers.port import DestructionNote, RootStatus, Wrapped
from fhir_server.crypto.rows import KeyRow, WrapperKind

Pause = Callable[[], Awaitable[None]]


async def _no_pause() -> None:
    return None


class FakeKeyStore:
    """Each row's read and write is atomic; between any two of them `pause` may let others in, or never come back.

    `trips` counts calls. `ever` is every row that was ever stored: what a thief of all backups holds.
    """

    def __init__(self, rows: Iterable[KeyRow] = (), pause: Pause = _no_pause) -> None:
        self.rows = {row.name: row for row in rows}
        self.list: list[DestroyedKey] = []
        self.ever: list[KeyRow] = list(self.rows.values())
        self.trips = 0
        self._pause = pause

    async def fetch(self, *, names: Collection[str] = (), ids: Collection[KeyId] = ()) -> Sequence[KeyRow]:
        wanted = [*names, *(row.name for row in self.rows.values() if _keys(row) & set(ids))]
        return await self._read(dict.fromkeys(wanted), lambda row: row.name in names or bool(_keys(row) & set(ids)))

    async def owned(self, owner: str, kind: KeyClass) -> Sequence[KeyRow]:
        return await self._read(list(self.rows), lambda row: row.kind is kind and owner in row.owners)

    async def revisions(self, names: Collection[str]) -> Mapping[str, int]:
        return {row.name: row.revision for row in await self._read(list(names), lambda row: row.name in names)}

    async def insert(self, rows: Sequence[KeyRow]) -> int:
        self.trips += 1
        for count, row in enumerate(rows):
            await self._pause()
            if row.name in self.rows:
                return count
            self._put(row)
        await self._pause()
        return len(rows)

    async def replace(self, rows: Sequence[KeyRow]) -> AbstractSet[str]:
        self.trips += 1
        refused = set()
        for row in rows:
            await self._pause()
            stored = self.rows.get(row.name)
            if stored is None or stored.revision != row.revision - 1:
                refused.add(row.name)
            else:
                self._put(row)
        await self._pause()
        return refused

    async def wrapped_by(self, wrappers: Collection[KeyId], most: int) -> Sequence[KeyRow]:
        found = await self._read(list(self.rows), lambda row: any(wrap.by in set(wrappers) for wrap in row.wraps))
        return found[:most]

    async def due(self, kind: WrapperKind, most: int) -> Sequence[KeyRow]:
        found = await self._read(list(self.rows), lambda row: row.kind is kind and row.due)
        return found[:most]

    async def destroy(
        self, key_ids: Collection[KeyId], stale: Collection[str], reason: str, instant: datetime
    ) -> Sequence[DestroyedKey]:
        self.trips += 1
        await self._pause()
        mine = [row for row in self.rows.values() if not isinstance(row.kind, WrapperKind)]
        going = {row.newest: row.name for row in mine if row.newest in set(key_ids)}
        last = self.list[-1].tally if self.list else Tally()
        entries = list(appended(last, sorted(going), reason, instant))
        for name in going.values():
            del self.rows[name]
        if going:
            for row in [self.rows[name] for name in stale]:
                self._put(dataclasses.replace(row, stale=True, revision=row.revision + 1))
        self.list += entries
        await self._pause()
        return entries

    async def destroyed(self, key_ids: Collection[KeyId]) -> Sequence[DestroyedKey]:
        self.trips += 1
        await self._pause()
        return [entry for entry in self.list if entry.key_id in set(key_ids)]

    async def tally(self) -> Tally:
        return self.list[-1].tally if self.list else Tally()

    async def counts(self) -> Mapping[str, int]:
        kinds = [str(row.kind) for row in self.rows.values()]
        return {kind: kinds.count(kind) for kind in kinds}

    async def _read(self, names: Iterable[str], matches: Callable[[KeyRow], bool]) -> list[KeyRow]:
        """Not one instant: a row may change between the readings of two others."""
        self.trips += 1
        found = []
        for name in names:
            await self._pause()
            row = self.rows.get(name)
            if row is not None and matches(row):
                found.append(row)
        await self._pause()
        return found

    def _put(self, row: KeyRow) -> None:
        self.rows[row.name] = row
        self.ever.append(row)


class FakeRootKeys:
    """Wraps by storing: a blob is a ticket for what it stands for, void once its version is destroyed."""

    def __init__(self) -> None:
        self._tickets: dict[tuple[int, bytes], bytes] = {}
        self._version, self._oldest = 1, 1

    async def wrap(self, plain: bytes) -> Wrapped:
        ticket = len(self._tickets).to_bytes(8)
        self._tickets[self._version, ticket] = plain
        return Wrapped(self._version, ticket)

    async def unwrap(self, wrapped: Wrapped) -> bytes:
        if wrapped.version < self._oldest or (wrapped.version, wrapped.blob) not in self._tickets:
            raise ProviderError("The root key does not open this.")
        return self._tickets[wrapped.version, wrapped.blob]

    async def new_version(self) -> int:
        self._version += 1
        return self._version

    async def destroy_up_to(self, version: int) -> DestructionNote:
        if version >= self._version:
            raise ProviderError("The newest version cannot be destroyed.")
        self._oldest = max(self._oldest, version + 1)
        return DestructionNote(version, None, "Kept in memory.")

    async def describe(self) -> RootStatus:
        return RootStatus("fake", self._version, self._oldest, "Kept in memory.")


def _keys(row: KeyRow) -> set[KeyId]:
    return {wrap.key for wrap in row.wraps}
