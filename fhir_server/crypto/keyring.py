"""The key ring of one clinic: gives out keys, makes what is missing, destroys for good.

Architecture section 5, GDPR Art. 17. What is remembered only saves work: `forget` is called for whatever another
process destroyed. A rendition's key is never remembered, so that each opening of a photo asks the store.
"""

from collections.abc import Callable, Collection, Container, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import TypeAlias

from fhir_server.crypto import rows
from fhir_server.crypto.chain import Chain, Rows
from fhir_server.crypto.destroyed import DestroyedKey
from fhir_server.crypto.draft import Draft
from fhir_server.crypto.errors import DestroyedKeyError, OpeningError, UnknownKeyError
from fhir_server.crypto.keys import DataKey, DataRequest, KeyClass, KeyId, KeyRequest, PictureRequest
from fhir_server.crypto.making import Maker
from fhir_server.crypto.opening import Opener
from fhir_server.crypto.ports import KeyStore
from fhir_server.crypto.providers.port import RootKeyProvider
from fhir_server.crypto.rekeying import Rekeying
from fhir_server.crypto.remembered import Remembered
from fhir_server.crypto.rows import KeyRow, Wanted, WrapperKind
from fhir_server.crypto.status import KeyStatus, key_status
from fhir_server.kernel.clock import Clock

_Request: TypeAlias = tuple[tuple[str, ...], KeyClass] | PictureRequest
_NOTHING: Mapping[DataRequest, Wanted] = {}
MOST_REMEMBERED = 200_000
_UNKNOWN: Mapping[KeyId, Collection[str]] = {}


@dataclass(frozen=True, slots=True)
class Destruction:
    """What was destroyed, for a receipt: each entry's key was inaccessible from its instant on.

    Unrecoverable are they only once the provider has destroyed the root's versions up to `root_version`.
    """

    entries: tuple[DestroyedKey, ...]
    root_version: int


class Keyring:
    def __init__(
        self,
        store: KeyStore,
        provider: RootKeyProvider,
        new_bytes: Callable[[int], bytes],
        clock: Clock,
        *,
        most_remembered: int = MOST_REMEMBERED,
    ) -> None:
        self._store, self._provider, self._clock = store, provider, clock
        self._chain = Chain(provider, new_bytes, most_remembered)
        self._maker = Maker(store, provider, self._chain)
        self._opener = Opener(store, self._chain)
        self._remembered = Remembered(most_remembered)
        self._forgettings = 0
        self.rekeying = Rekeying(store, provider, self._chain)

    async def data_keys(
        self, requests: Collection[_Request], new: Container[str] = ()
    ) -> Mapping[DataRequest, DataKey]:
        """The key of each (owners, class), or of a resource with a picture, made and durable where there was none.

        No owners: the clinic's own key.
        `new`: patients who probably have no keys yet. It saves a round trip where that is so.
        """
        draft = await self.draft(requests, new)
        return draft.answer(await self._settle(draft))

    async def draft(self, requests: Collection[_Request], new: Container[str] = ()) -> Draft:
        """The same keys at once, as far as that goes: remembered ones, and new ones that are not stored yet.

        What they seal must not be kept before `confirm` has answered with the same keys.
        """
        asked = {_named(request): rows.requested(request) for request in requests}
        return await self._draft(asked.values(), new, asked)

    async def confirm(self, draft: Draft) -> Mapping[DataRequest, DataKey]:
        """As `data_keys`, for what is to last: none that another process destroyed since it was remembered here."""
        keys = await self._settle(draft)
        # What was made or read just now stood in the store a moment ago: step 3 of `making`.
        old = [key.id for key in draft.remembered.values()]
        gone = await self._store.destroyed(old) if old else ()
        if gone:
            self.forget([entry.key_id for entry in gone])
            keys = await self._settle(await self._draft(draft.asked.values()))
        return draft.answer(keys)

    async def known(self, requests: Collection[KeyRequest]) -> Mapping[KeyRequest, KeyId]:
        """The ids of those that there are. Makes none, and remembers none."""
        asked = {rows.data(*request).name: request for request in requests}
        return {asked[row.name]: row.newest for row in await self._store.fetch(names=asked)}

    async def picture_keys(self, patient: str) -> Sequence[KeyRow]:
        """Those of this patient's resources in which a picture stands, or stood in some version."""
        return await self._store.owned(patient, KeyClass.PICTURE)

    async def rendition_key(self, owners: tuple[str, ...], photo_id: str, *, new: bool = False) -> DataKey:
        """The key of one photo's bytes, made at the first call. Raises DestroyedKeyError once it was destroyed.

        `new`: the id was drawn just now, so no key of it can have been destroyed.
        For sealing. Who opens a photo asks `open_keys`, which makes nothing.
        """
        place = rows.rendition(owners, photo_id)
        if not new and place.fixed_id and await self._store.destroyed([place.fixed_id]):
            raise DestroyedKeyError("The key of this photo was destroyed.")
        return await self._take(place)

    async def named(self, name: str, key_class: KeyClass) -> bytes:
        """A secret of the clinic's, wrapped by the root: the token key of an epoch, a signing key."""
        return (await self.named_key(name, key_class)).secret

    async def named_key(self, name: str, key_class: KeyClass) -> DataKey:
        """The same with its id, by which it can be destroyed."""
        place = rows.named(name, key_class)
        return await self._take(place)

    async def known_named(self, name: str, key_class: KeyClass) -> KeyId | None:
        """The id of such a secret, if there is one. Makes none, and remembers none."""
        found = await self._store.fetch(names=[rows.named(name, key_class).name])
        return found[0].newest if found else None

    async def open_keys(
        self, ids: Collection[KeyId], owners: Mapping[KeyId, Collection[str]] = _UNKNOWN
    ) -> Mapping[KeyId, DataKey]:
        """The keys of these ids; destroyed ones are left out. Raises UnknownKeyError for an id that never was a key.

        `owners`: the patients whom a key belongs to, as far as that is known. It saves a round trip.
        """
        found: dict[KeyId, DataKey] = {}
        left = set()
        for key_id in ids:
            if (key := self._remembered.get(key_id)) is None:
                left.add(key_id)
            else:
                found[key_id] = key
        if left:
            began = self._forgettings
            of = {owner for key_id in left for owner in owners.get(key_id, ())}
            for row, key in await self._opener.open(left, of):
                self._remember(row, key, began)
                found[key.id] = key
            await self._refuse_unknown(left - found.keys())
        return found

    async def destroy(self, key_ids: Collection[KeyId], reason: str) -> Destruction:
        """Destroy data keys, and renew every wrapping key above them. Run again after a fault, it finishes the work.

        `reason` is a code or the reference of a request. Raises UnknownKeyError, with nothing done, for a foreign id.
        """
        found = await self._store.fetch(ids=key_ids)
        if any(isinstance(row.kind, WrapperKind) for row in found):
            raise UnknownKeyError("A wrapping key is not destroyed by itself.")
        await self._refuse_unknown(set(key_ids) - {row.newest for row in found})
        owners = {owner for row in found for owner in row.owners}
        stale = {place.name for owner in owners for place in (rows.patient(owner), rows.bucket(owner))}
        await self._store.destroy(key_ids, sorted(stale), reason, self._clock.now())
        self.forget(key_ids)
        await self.rekeying.finish()
        entries = await self._store.destroyed(key_ids)
        return Destruction(tuple(entries), (await self._provider.describe()).version)

    def forget(self, key_ids: Collection[KeyId]) -> None:
        """Drop destroyed keys from memory; a call under way will not put back what it read before."""
        self._forgettings += 1
        self._remembered.drop(key_ids)

    def forget_all(self) -> None:
        """For when it is not known what another process destroyed."""
        self._forgettings += 1
        self._remembered.clear()
        self._chain.forget()

    async def status(self) -> KeyStatus:
        return await key_status(self._store, self._provider)

    async def _take(self, place: Wanted) -> DataKey:
        return (await self._settle(await self._draft([place])))[place.name]

    async def _draft(
        self, places: Collection[Wanted], new: Container[str] = (), asked: Mapping[DataRequest, Wanted] = _NOTHING
    ) -> Draft:
        began = self._forgettings
        remembered: dict[str, DataKey] = {}
        left = []
        for place in places:
            key = self._remembered.named(place.name)
            if key is None:
                left.append(place)
            else:
                remembered[place.name] = key
        drawn = await self._maker.draw(left, new) if left else None
        made = {place.name: await self._key(drawn.rows, place) for place in left} if drawn else {}
        return Draft(asked, remembered, tuple(left), drawn, made, began)

    async def _settle(self, draft: Draft) -> Mapping[str, DataKey]:
        """Each key by its name, durable."""
        found = dict(draft.remembered)
        if not draft.left:
            return found
        before = draft.drawn.rows if draft.drawn else {}
        taken = await self._maker.take(draft.left, draft.drawn)
        for place in draft.left:
            row = taken[place.name]
            if row.owners != place.owners:
                raise OpeningError("The key of this photo belongs to others.")
            is_as_drawn = row == before.get(place.name)
            key = draft.made[place.name] if is_as_drawn else await self._key(taken, place)
            self._remember(row, key, draft.began)
            found[place.name] = key
        return found

    async def _key(self, found: Rows, place: Wanted) -> DataKey:
        row = found[place.name]
        return DataKey(row.newest, await self._chain.secret(row, 0, found))

    def _remember(self, row: KeyRow, key: DataKey, began: int) -> None:
        if row.kind is not KeyClass.RENDITION and began == self._forgettings:
            self._remembered.put(row.name, key)

    async def _refuse_unknown(self, missing: AbstractSet[KeyId]) -> None:
        if missing and len(await self._store.destroyed(missing)) < len(missing):
            raise UnknownKeyError("A key id is neither stored nor on the list of destroyed keys.")


def _named(request: _Request) -> DataRequest:
    return request if isinstance(request, PictureRequest) else KeyRequest(*request)
