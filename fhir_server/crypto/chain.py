"""From the root down to a data key: opens wraps, makes them, and brings a row under the newest wrappers.

Architecture section 5. It remembers wrapping keys by generation. That is safe for opening; which generation is the
newest is never remembered, only read.
"""

import dataclasses
from collections.abc import Callable, Container, Mapping

from fhir_server.crypto.cache import Recent
from fhir_server.crypto.errors import OpeningError, WrapperGoneError
from fhir_server.crypto.keys import ID_BYTES, KEY_BYTES, KeyId
from fhir_server.crypto.providers.port import RootKeyProvider, Wrapped
from fhir_server.crypto.rows import (
    KeyRow,
    Wanted,
    Wrap,
    WrapperKind,
    first_generation,
    generation,
    is_root,
    next_generation,
    root_id,
    stem,
    wanted,
)
from fhir_server.crypto.wrapping import unwrap, unwrap_by_root, wrap, wrap_by_root

_FIRST_REVISION = 6
Rows = Mapping[str, KeyRow]


class Chain:
    def __init__(self, provider: RootKeyProvider, new_bytes: Callable[[int], bytes], most: int) -> None:
        self._provider, self._new_bytes = provider, new_bytes
        self._wrappers = Recent[KeyId, bytes](most)

    def knows(self, key: KeyId) -> bool:
        """Can a wrap under this key be opened without reading its row?"""
        return is_root(key) or self._wrappers.get(key) is not None

    def forget(self) -> None:
        self._wrappers.clear()

    async def secret(self, row: KeyRow, position: int, rows: Rows) -> bytes:
        """The key inside one wrap of the row. Raises WrapperGoneError when its wrapper is not in `rows`."""
        place, found = wanted(row), row.wraps[position]
        binding = place.binding(position, found.key, found.by)
        if is_root(found.by):
            return await unwrap_by_root(self._provider, Wrapped(generation(found.by), found.blob), binding)
        outer = await self._wrapper(found.by, place.outer_name(position), rows)
        return unwrap(outer, found.blob, binding)

    async def fresh(self, place: Wanted, rows: Rows) -> KeyRow:
        """A row with a new key, under the newest wrappers in `rows`."""
        random, secret = self._new_bytes(ID_BYTES), self._new_bytes(KEY_BYTES)
        if not isinstance(place.kind, WrapperKind):
            return await self._row(place, place.fixed_id or KeyId(random), secret, rows)
        key = first_generation(random)
        self._wrappers.put(key, secret)  # what comes after it in the same insert is wrapped by it
        return await self._row(place, key, secret, rows)

    async def begun(self, row: KeyRow, rows: Rows) -> KeyRow:
        """The wrapping key's row with a further generation, made now: no longer stale, and due to be finished.

        Its secret is not remembered before it was read back: another process may store another one under the same id.
        """
        added = await self._next_row(row, rows)
        return dataclasses.replace(row, wraps=row.wraps + added.wraps, revision=row.revision + 1, stale=False)

    async def renewed(
        self, row: KeyRow, rows: Rows, root_version: int, old: Container[KeyId] | None = None
    ) -> KeyRow | None:
        """The row with the same keys, every wrap (or those under `old`) under the newest wrapper; None if all are.

        Raises WrapperGoneError as `secret` does.
        """
        place, wraps = wanted(row), list(row.wraps)
        for position, found in enumerate(row.wraps):
            if old is not None and found.by not in old:
                continue
            if not _under_newest(place.outer_name(position), found.by, rows, root_version):
                secret = await self.secret(row, position, rows)
                wraps[position] = await self._wrap(place, position, found.key, secret, rows)
        if tuple(wraps) == row.wraps:
            return None
        return dataclasses.replace(row, wraps=tuple(wraps), revision=row.revision + 1)

    async def replaced(self, row: KeyRow, rows: Rows) -> KeyRow:
        """A new key in the place of an orphan, which nobody can ever have used (`making` says why).

        Raises OpeningError when the row is not an orphan but lost its wrapper in some other way, as in a key store that
        was put together from two backups: then nothing may be overwritten.
        """
        place, wrapper = wanted(row), isinstance(row.kind, WrapperKind)
        for position, found in enumerate(row.wraps):
            outer = _wrapper_row(rows, place.outer_name(position))
            if (
                (wrapper and row.due)
                or stem(found.by) != stem(outer.newest)
                or generation(found.by) > generation(outer.newest)
            ):
                raise OpeningError("A key is wrapped by a key that the key store does not have.")
        made = await self._next_row(row, rows) if wrapper else await self.fresh(place, rows)
        return dataclasses.replace(made, revision=row.revision + 1)

    async def _next_row(self, row: KeyRow, rows: Rows) -> KeyRow:
        return await self._row(wanted(row), next_generation(row.newest), self._new_bytes(KEY_BYTES), rows)

    async def _row(self, place: Wanted, key: KeyId, secret: bytes, rows: Rows) -> KeyRow:
        positions = range(len(place.owners) or 1)
        wraps = [await self._wrap(place, position, key, secret, rows) for position in positions]
        return KeyRow(
            place.name, place.kind, place.owners, tuple(wraps), int.from_bytes(self._new_bytes(_FIRST_REVISION))
        )

    async def _wrap(self, place: Wanted, position: int, key: KeyId, secret: bytes, rows: Rows) -> Wrap:
        outer_name = place.outer_name(position)
        if outer_name is None:
            made = await wrap_by_root(self._provider, secret, place.binding(position, key, root_id(0)))
            return Wrap(key, root_id(made.version), made.blob)
        by = _wrapper_row(rows, outer_name).newest
        outer = await self._wrapper(by, outer_name, rows)
        return Wrap(key, by, wrap(outer, secret, place.binding(position, key, by), self._new_bytes))

    async def _wrapper(self, key: KeyId, name: str | None, rows: Rows) -> bytes:
        found = self._wrappers.get(key)
        if found is None:
            row = _wrapper_row(rows, name)
            position = next((at for at, held in enumerate(row.wraps) if held.key == key), None)
            if position is None:
                raise WrapperGoneError("A key is wrapped by a key that is gone.")
            found = await self.secret(row, position, rows)
            self._wrappers.put(key, found)
        return found


def _under_newest(outer_name: str | None, by: KeyId, rows: Rows, root_version: int) -> bool:
    if outer_name is None:
        return generation(by) >= root_version
    return by == _wrapper_row(rows, outer_name).newest


def _wrapper_row(rows: Rows, name: str | None) -> KeyRow:
    row = rows.get(name) if name else None
    if row is None:
        raise WrapperGoneError("A key is wrapped by a key that the key store does not have.")
    return row
