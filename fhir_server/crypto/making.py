"""Takes keys for use: finds them, makes what is missing, and gives out none before it is safe.

Architecture section 5: a key is durable before its first use. What makes that hard is a destruction in another process,
which carries a patient's keys to a new generation of the wrapping key and then drops the old one. A key that is stored
under the old generation after it was carried over would be lost. So:

1. Read the rows of all keys wanted and of all wrappers above them.
2. Store what is missing, wrappers first; bring what stands under an old generation under the newest.
3. Read their revisions. Only when none differs from what was read or stored before, and every row stands under the
   newest generation, were all of them so at one instant between the two readings. From then on whoever makes a further
   generation does it later, finds these rows and carries them along. Now what they sealed may be committed.

A revision only rises, and a row made anew begins at a random one, so equal revisions are the same row all the time in
between, however long that was. So the reading of step 1 may be an old one: keys of patients who are said to be new are
stored under the bucket as it was last seen, and step 3 tells whether that was right.

A row whose generation is gone, seen in such a pair of equal readings, is an orphan: stored too late by a process that
died before its step 3, never given out by anyone. It is replaced.
"""

from collections.abc import Container, Iterable
from dataclasses import dataclass

from fhir_server.crypto.chain import Chain, Rows
from fhir_server.crypto.errors import CryptoError, WrapperGoneError
from fhir_server.crypto.ports import KeyStore
from fhir_server.crypto.providers.port import RootKeyProvider
from fhir_server.crypto.rows import KeyRow, Wanted, WrapperKind, bucket, patient
from fhir_server.kernel.errors import UnavailableError

_ROUNDS = 50


@dataclass(frozen=True, slots=True)
class Drawn:
    """Rows for new patients that are not stored yet, under the buckets as they were last seen.

    What is sealed with them may be sealed already, and must not be kept before they were taken as they are.
    """

    seen: Rows
    made: list[KeyRow]

    @property
    def rows(self) -> Rows:
        return {**self.seen, **{row.name: row for row in self.made}}


class Maker:
    def __init__(self, store: KeyStore, provider: RootKeyProvider, chain: Chain) -> None:
        self._store, self._provider, self._chain = store, provider, chain
        self._buckets: dict[str, KeyRow] = {}  # as last read; there are 256

    async def take(self, wanted: Iterable[Wanted], drawn: Drawn | None = None) -> Rows:
        """The rows wanted and their wrappers, safe to use. Two round trips, three when something was made.

        Two as well for what was `drawn`; if its patients have keys already, it takes longer, and theirs are found.
        """
        places = _wrappers_first(wanted)
        before: Rows = await self._added(drawn.seen, drawn.made) if drawn else {}
        for _ in range(_ROUNDS):
            now, steady = await self._read(places, before)
            changed, whole = await self._changed(places, now, steady=steady)
            if changed:
                refused = await self._store.replace(changed)
                before = {**now, **{row.name: row for row in changed if row.name not in refused}}
                continue
            missing = await self._missing(places, now) if whole else []
            if steady and not missing:
                self._buckets.update({name: row for name, row in now.items() if row.kind is WrapperKind.BUCKET})
                return now
            before = await self._added(now, missing)
        raise UnavailableError("Keys are being changed by others all the time; nothing was done.")

    async def draw(self, wanted: Iterable[Wanted], new: Container[str]) -> Drawn | None:
        """Keys for patients said to be `new`, without a look into the store; None where it takes one."""
        places = _wrappers_first(wanted)
        buckets = {name: self._buckets.get(name) for name, place in places.items() if place.kind is WrapperKind.BUCKET}
        seen = {name: row for name, row in buckets.items() if row is not None}
        if len(seen) < len(buckets) or not all(_new(place, new) for name, place in places.items() if name not in seen):
            return None
        try:
            return Drawn(seen, await self._missing(places, seen))
        except CryptoError:
            # As they were last seen they may stand under a version of the root that was destroyed since: read them.
            self._buckets.clear()
            return None

    async def _added(self, rows: Rows, missing: list[KeyRow]) -> Rows:
        added = await self._store.insert(missing) if missing else 0
        return {**rows, **{row.name: row for row in missing[:added]}}

    async def _read(self, places: dict[str, Wanted], before: Rows) -> tuple[Rows, bool]:
        """The rows as they are, and whether they are as before."""
        if before:
            revisions = await self._store.revisions(list(places))
            if revisions == {name: row.revision for name, row in before.items()}:
                return before, True
        return {row.name: row for row in await self._store.fetch(names=list(places))}, False

    async def _changed(self, places: dict[str, Wanted], now: Rows, *, steady: bool) -> tuple[list[KeyRow], bool]:
        """What has to be brought under the newest wrappers, and whether each row has its wrapper among these."""
        version = (await self._provider.describe()).version
        changed, whole = [], True
        for row in (now[name] for name in places if name in now):
            try:
                renewed = await self._chain.renewed(row, now, version)
            except WrapperGoneError:
                whole = False
                # Read at two instants, a row and its wrapper may seem apart: believe it the second time only.
                renewed = await self._chain.replaced(row, now) if steady else None
            if renewed is not None:
                changed.append(renewed)
            if not whole and steady and isinstance(row.kind, WrapperKind):
                break  # nothing below it opens before it is replaced
        return changed, whole

    async def _missing(self, places: dict[str, Wanted], now: Rows) -> list[KeyRow]:
        rows = dict(now)
        for name, place in places.items():
            if name not in rows:
                rows[name] = await self._chain.fresh(place, rows)
        return [row for name, row in rows.items() if name not in now]


def _new(place: Wanted, patients: Container[str]) -> bool:
    return place.kind is not WrapperKind.BUCKET and bool(place.owners) and all(one in patients for one in place.owners)


def _wrappers_first(wanted: Iterable[Wanted]) -> dict[str, Wanted]:
    wanted = list(wanted)
    patients = [patient(owner) for place in wanted for owner in place.owners]
    buckets = [bucket(place.owners[0]) for place in patients]
    return {place.name: place for place in (*buckets, *patients, *wanted)}
