"""Opens keys by their ids, for what is already sealed.

Two round trips for a page whatever its size, one when the patients' wrapping keys are remembered.
"""

from collections.abc import Collection, Sequence

from fhir_server.crypto.chain import Chain, Rows
from fhir_server.crypto.errors import OpeningError, WrapperGoneError
from fhir_server.crypto.keys import DataKey, KeyId
from fhir_server.crypto.ports import KeyStore
from fhir_server.crypto.rows import KeyRow, WrapperKind, bucket, wanted

_ROUNDS = 10


class Opener:
    def __init__(self, store: KeyStore, chain: Chain) -> None:
        self._store, self._chain = store, chain

    async def open(self, ids: Collection[KeyId]) -> Sequence[tuple[KeyRow, DataKey]]:
        """The keys that are stored, beside their rows. Raises OpeningError for one that is stored but does not open."""
        opened: list[tuple[KeyRow, DataKey]] = []
        left = set(ids)
        for _ in range(_ROUNDS):
            rows = [row for row in await self._store.fetch(ids=left) if not isinstance(row.kind, WrapperKind)]
            outers = await self._outers(rows)
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

    async def _outers(self, rows: Sequence[KeyRow]) -> Rows:
        names = set[str]()
        for row in rows:
            position = self._position(row)
            outer = wanted(row).outer_name(position)
            if outer and not self._chain.knows(row.wraps[position].by):
                names |= {outer, bucket(row.owners[position]).name}
        return {row.name: row for row in await self._store.fetch(names=names)} if names else {}

    def _position(self, row: KeyRow) -> int:
        """Any owner's wrap will do: one whose wrapping key is remembered, else the first."""
        return next((at for at, found in enumerate(row.wraps) if self._chain.knows(found.by)), 0)
