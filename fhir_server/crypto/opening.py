"""Opens keys by their ids, for what is already sealed.

One round trip for a page whatever its size, where it is known whose they are: rows of pages that are opened at the
same time are read together, so a key that is not in memory costs little more than its part of a query.
"""

from collections.abc import Collection, Sequence

from fhir_server.crypto.chain import Chain, Rows
from fhir_server.crypto.errors import OpeningError, WrapperGoneError
from fhir_server.crypto.keys import DataKey, KeyId
from fhir_server.crypto.ports import KeyStore
from fhir_server.crypto.rows import KeyRow, WrapperKind, bucket, patient

_ROUNDS = 10
_FLOORS = 2
"""Of wrapping keys: a patient's, and the bucket's above it."""


class Opener:
    def __init__(self, store: KeyStore, chain: Chain) -> None:
        self._store, self._chain = store, chain
        self._met = set[str]()

    async def open(self, ids: Collection[KeyId], owners: Collection[str] = ()) -> Sequence[tuple[KeyRow, DataKey]]:
        """The keys that are stored, beside their rows. Raises OpeningError for one that is stored but does not open.

        `owners`: patients whom they probably belong to. It saves a round trip where that is so.
        """
        opened: list[tuple[KeyRow, DataKey]] = []
        left, names = set(ids), {name for one in owners for name in self._around(one)}
        for _ in range(_ROUNDS):
            found = await self._store.fetch(ids=left, names=names)
            rows = [row for row in found if not isinstance(row.kind, WrapperKind)]
            outers = await self._outers(rows, {row.name: row for row in found if isinstance(row.kind, WrapperKind)})
            left = set()
            for row in rows:
                try:
                    secret = await self._chain.secret(row, self._position(row), outers)
                except WrapperGoneError:
                    left.add(row.newest)  # carried to another generation between the two readings: read again
                else:
                    opened.append((row, DataKey(row.newest, secret)))
            if not left:
                return opened
        raise OpeningError("A key is wrapped by a key that is gone.")

    async def _outers(self, rows: Sequence[KeyRow], read: Rows) -> Rows:
        """What of the wrapping keys above these has to be read, with what was: most buckets are remembered."""
        found = dict(read)
        for _ in range(_FLOORS):
            names = {name for row in rows for name in self._unread(row, self._position(row), found)}
            if not names:
                break
            found |= {row.name: row for row in await self._store.fetch(names=names)}
        self._met.update(name for name, row in found.items() if row.kind is WrapperKind.BUCKET)
        return found

    def _unread(self, row: KeyRow, position: int, found: Rows) -> Collection[str]:
        """The nearest of the rows above this wrap without which it does not open, where that was not read yet."""
        by = row.wraps[position].by
        if self._chain.knows(by):
            return ()
        if row.kind is WrapperKind.PATIENT:
            name = bucket(row.owners[0]).name
            return () if name in found else (name,)
        outer = found.get(patient(row.owners[position]).name)
        if outer is None:
            return self._around(row.owners[position])
        above = next((at for at, held in enumerate(outer.wraps) if held.key == by), None)
        return () if above is None else self._unread(outer, above, found)

    def _around(self, owner: str) -> Collection[str]:
        """A patient's wrapping key; with the bucket's, where that was never met and so will be needed."""
        name, over = patient(owner).name, bucket(owner).name
        return (name,) if over in self._met else (name, over)

    def _position(self, row: KeyRow) -> int:
        """Any owner's wrap will do: one whose wrapping key is remembered, else the first."""
        return next((at for at, found in enumerate(row.wraps) if self._chain.knows(found.by)), 0)
