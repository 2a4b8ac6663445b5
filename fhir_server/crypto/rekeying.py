"""Makes what was destroyed unreachable in older copies of the key store too: new wrapping keys all the way up.

Architecture section 5. Destroying a data key marks its patients' rows and their buckets' rows as stale, in the same
transaction. From there each row passes three states, one compare-and-set at a time, and any process may take the next
step at any time; a crash leaves a row that the next run carries on:

1. stale, one generation: add a generation, made after the destruction.
2. two generations: carry every key below from the old one to the new one; both open meanwhile.
3. nothing is left under the old one: drop it. Stale again already: from the start.

A bucket begins only while none of its patients is due, else an old generation of a patient would be carried over to the
bucket's new one. Last comes the root, whose old versions the provider destroys.
"""

import dataclasses
from collections.abc import Awaitable, Callable, Sequence

from fhir_server.crypto.chain import Chain, Rows
from fhir_server.crypto.errors import CryptoError, WrapperGoneError
from fhir_server.crypto.keys import KeyId
from fhir_server.crypto.ports import KeyStore
from fhir_server.crypto.providers.port import DestructionNote, RootKeyProvider
from fhir_server.crypto.rows import KeyRow, WrapperKind, root_id, wanted
from fhir_server.kernel.errors import UnavailableError

PAGE = 500
_ROUNDS = 10_000


class Rekeying:
    def __init__(self, store: KeyStore, provider: RootKeyProvider, chain: Chain) -> None:
        self._store, self._provider, self._chain = store, provider, chain

    async def finish(self) -> None:
        """Carry on until no row is due, whoever left it so."""
        for _ in range(_ROUNDS):
            # In this order: a patient that becomes due after the look at the patients changes its bucket's row too,
            # and the bucket's compare-and-set fails.
            buckets = await self._store.due(WrapperKind.BUCKET, PAGE)
            patients = await self._store.due(WrapperKind.PATIENT, PAGE)
            if not patients and not buckets:
                return
            await self._advance(patients or buckets)
        raise UnavailableError("Keys are being destroyed faster than their wrappers can be renewed; run it again.")

    async def rotate_root(self) -> int:
        """A new version of the root, and every key that the root wraps under it. Returns the version."""
        await self._provider.new_version()
        return await self.finish_root()

    async def renew_root(self, before: Callable[[int], Awaitable[None]]) -> int:
        """A rotation; where an earlier one was not finished, that one. While old versions live, it was not.

        `before` is told which version will be made.
        """
        status = await self._provider.describe()
        if status.oldest < status.version:
            return await self.finish_root()
        await before(status.version + 1)
        return await self.rotate_root()

    async def finish_root(self) -> int:
        """Bring everything under the root's newest version; again after a crash is no fault."""
        status = await self._provider.describe()
        await self._carry([root_id(version) for version in range(status.oldest, status.version)])
        return status.version

    async def retire_root(self, up_to: int) -> DestructionNote:
        """Destroy old versions of the root. Refuses while anything in the store still needs one, or a row is due."""
        status = await self._provider.describe()
        old = [root_id(version) for version in range(status.oldest, up_to + 1)]
        if up_to >= status.version or await self._store.wrapped_by(old, 1):
            raise CryptoError("Keys are still wrapped by this version of the root: rotate it first.")
        for kind in WrapperKind:
            if await self._store.due(kind, 1):
                raise CryptoError("The renewal of a wrapping key is not finished: finish it and rotate the root again.")
        return await self._provider.destroy_up_to(up_to)

    async def _advance(self, rows: Sequence[KeyRow]) -> None:
        begin = [row for row in rows if len(row.wraps) == 1]
        if begin:
            outers = await self._with_outers(begin)
            await self._store.replace([await self._chain.begun(row, outers) for row in begin])
        carry = [row for row in rows if len(row.wraps) > 1]
        if carry and await self._carry([found.key for row in carry for found in row.wraps[:-1]]):
            await self._store.replace(
                [dataclasses.replace(row, wraps=row.wraps[-1:], revision=row.revision + 1) for row in carry]
            )

    async def _carry(self, old: Sequence[KeyId]) -> bool:
        """Bring all that is wrapped by these keys under their successors. False when some of it moved meanwhile."""
        while found := await self._store.wrapped_by(old, PAGE):
            rows = await self._with_outers(found)
            version = (await self._provider.describe()).version
            carried = [row for was in found if (row := await self._carried(was, rows, version, old))]
            if not carried:
                return False
            await self._store.replace(carried)
        return True

    async def _carried(self, row: KeyRow, rows: Rows, version: int, old: Sequence[KeyId]) -> KeyRow | None:
        try:
            return await self._chain.renewed(row, rows, version, old)
        except WrapperGoneError:
            return None  # an orphan, or carried on by another process meanwhile

    async def _with_outers(self, rows: Sequence[KeyRow]) -> Rows:
        """The wrappers above these rows, read after them."""
        found: dict[str, KeyRow] = {}
        level: Sequence[KeyRow] = rows
        while names := _outer_names(level) - found.keys():
            level = await self._store.fetch(names=names)
            found.update({row.name: row for row in level})
        return found


def _outer_names(rows: Sequence[KeyRow]) -> set[str]:
    names = [wanted(row).outer_name(position) for row in rows for position in range(len(row.owners) or 1)]
    return {name for name in names if name is not None}
