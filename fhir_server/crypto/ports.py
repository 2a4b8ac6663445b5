"""What the key ring needs from outside: a place for wrapped keys, in a database of its own. fhir_server.store has it.

Every call sees all writes that were acknowledged before it began, and a write is durable when its call returns.
"""

from collections.abc import Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from typing import Protocol

from fhir_server.crypto.destroyed import DestroyedKey, Tally
from fhir_server.crypto.keys import KeyClass, KeyId
from fhir_server.crypto.rows import KeyRow, WrapperKind


class KeyStore(Protocol):
    async def fetch(self, *, names: Collection[str] = (), ids: Collection[KeyId] = ()) -> Sequence[KeyRow]:
        """The rows that have one of these names or hold one of these keys, each once. Missing ones are left out.

        The rows need not be of one instant; each single row is.
        """
        ...

    async def owned(self, owner: str, kind: KeyClass) -> Sequence[KeyRow]:
        """All rows of this kind of which this patient is an owner, alone or with others, in any order."""
        ...

    async def revisions(self, names: Collection[str]) -> Mapping[str, int]:
        """The revision of each row that has one of these names. As with `fetch`, each is of an instant of its own."""
        ...

    async def insert(self, rows: Sequence[KeyRow]) -> int:
        """Add rows in the order given, up to the first whose name is taken; how many were added.

        The order matters: a wrapping key comes before what it wraps, so that a row is never without its wrapper.
        """
        ...

    async def replace(self, rows: Sequence[KeyRow]) -> AbstractSet[str]:
        """Put each row in the place of the stored one whose revision is one less; the names of those that were not.

        Each row by itself, atomically: a row that does not match changes nothing, and does not hinder the others.
        """
        ...

    async def wrapped_by(self, wrappers: Collection[KeyId], most: int) -> Sequence[KeyRow]:
        """Rows with any wrap under one of these keys, at most so many, in any order."""
        ...

    async def due(self, kind: WrapperKind, most: int) -> Sequence[KeyRow]:
        """Rows of this kind that are stale or hold more than one generation, at most so many, in any order."""
        ...

    async def destroy(
        self, key_ids: Collection[KeyId], stale: Collection[str], reason: str, instant: datetime
    ) -> Sequence[DestroyedKey]:
        """Delete the rows that hold these data keys, list their ids as destroyed, mark rows as stale: one transaction.

        The list's entries come in ascending order of the ids and are made by `destroyed.appended`. Of each row named in
        `stale` the field `stale` is set and `revision` raised, also where it was set already. Ids without a row are
        passed over; if none has one, nothing changes. Returns the new entries.
        """
        ...

    async def destroyed(self, key_ids: Collection[KeyId]) -> Sequence[DestroyedKey]:
        """The entries of those of the ids that are on the list, by number."""
        ...

    async def tally(self) -> Tally:
        """Length and hash of the list."""
        ...

    async def counts(self) -> Mapping[str, int]:
        """How many rows there are of each kind."""
        ...
