"""Takes keys for use: finds them, makes what is missing, and gives out none before it is safe.

Architecture section 5: a key is durable before its first use. What makes that hard is a destruction in another process,
which carries a patient's keys to a new generation of the wrapping key and then drops the old one. A key that is stored
under the old generation after it was carried over would be lost. So:

1. Read the rows of all keys wanted and of all wrappers above them.
2. Store what is missing, wrappers first; bring what stands under an old generation under the newest.
3. Read again. Only when nothing differs from what was read or stored before, and every row stands under the newest
   generation, were all of them so at one instant between the two readings. From then on whoever makes a further
   generation does it later, finds these rows and carries them along. Now the keys may be used.

A row whose generation is gone, seen in such a pair of equal readings, is an orphan: stored too late by a process that
died before its step 3, never given out by anyone. It is replaced.
"""

from collections.abc import Iterable

from fhir_server.crypto.chain import Chain, Rows
from fhir_server.crypto.errors import WrapperGoneError
from fhir_server.crypto.ports import KeyStore
from fhir_server.crypto.providers.port import RootKeyProvider
from fhir_server.crypto.rows import KeyRow, Wanted, WrapperKind, bucket, patient
from fhir_server.kernel.errors import UnavailableError

_ROUNDS = 50


class Maker:
    def __init__(self, store: KeyStore, provider: RootKeyProvider, chain: Chain) -> None:
        self._store, self._provider, self._chain = store, provider, chain

    async def take(self, wanted: Iterable[Wanted]) -> Rows:
        """The rows wanted and their wrappers, safe to use. Two round trips, three when something was made."""
        places = _wrappers_first(wanted)
        before: Rows = {}
        for _ in range(_ROUNDS):
            now = {row.name: row for row in await self._store.fetch(names=list(places))}
            steady = now == before
            changed, whole = await self._changed(places, now, steady=steady)
            if changed:
                refused = await self._store.replace(changed)
                before = {**now, **{row.name: row for row in changed if row.name not in refused}}
                continue
            missing = await self._missing(places, now) if whole else []
            if steady and not missing:
                return now
            added = await self._store.insert(missing) if missing else 0
            before = {**now, **{row.name: row for row in missing[:added]}}
        raise UnavailableError("Keys are being changed by others all the time; nothing was done.")

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


def _wrappers_first(wanted: Iterable[Wanted]) -> dict[str, Wanted]:
    wanted = list(wanted)
    patients = [patient(owner) for place in wanted for owner in place.owners]
    buckets = [bucket(place.owners[0]) for place in patients]
    return {place.name: place for place in (*buckets, *patients, *wanted)}
