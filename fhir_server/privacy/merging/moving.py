"""From resources and what they are to say to changes that seal them under another patient's key, photos with them.

Architecture sections 5 and 9. Who wrote a version goes on to be its author: it ties to the patient whom it tied, and
who asked for something is who asked.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from fhir_server.consent.terms import stands
from fhir_server.engine.change import BlobMove, Change, HeadMove
from fhir_server.engine.classification import is_receipt
from fhir_server.engine.interactions import Engine
from fhir_server.engine.ports import Heads
from fhir_server.engine.stored import Stored
from fhir_server.kernel.errors import TooCostlyError
from fhir_server.kernel.identity import ResourceKey
from fhir_server.kernel.json import Json
from fhir_server.media.photos_within import carries_photo, photo_id
from fhir_server.media.ports import CONDEMNED, LIVE, PENDING, Photo, PhotoVault
from fhir_server.privacy.merging.record import is_record
from fhir_server.privacy.merging.repointing import references, renamed, repointed
from fhir_server.privacy.ports import Mentions

MOST = 4_000
"""Resources that move with one commit."""

_THROUGH_TARGETS = frozenset({"Provenance", "Task", "Binary", "Device"})
"""Those that are sealed for whomever what they refer to is about."""


@dataclass(frozen=True, slots=True)
class Move:
    """A resource as it stands, whole, and what it is to say. `revives`: a Consent that ended by merging holds again."""

    stored: Stored
    resource: Json
    revives: bool = False


@dataclass(frozen=True, slots=True)
class Moved:
    """`poured`: bytes that become live with the changes; whoever does not commit them discards them."""

    changes: tuple[Change, ...]
    poured: tuple[Photo, ...]


class Moving:
    """`base` is the server's own FHIR base."""

    def __init__(self, engine: Engine, heads: Heads, mentions: Mentions, vault: PhotoVault, base: str) -> None:
        self._engine, self._heads, self._mentions, self._vault, self.base = engine, heads, mentions, vault, base

    async def of(self, source: str, target: str) -> Sequence[Move]:
        """All that is to move from one record into the other. Patients stay, and so does what was filed as evidence."""
        named = await self.named(source)
        written = [
            Move(one, resource)
            for one in named
            if (resource := repointed(one.resource, source, target, self.base)) is not one.resource
        ]
        moving = {move.stored.key for move in written}
        through = [one for one in named if one.key not in moving and one.key.type in _THROUGH_TARGETS]
        found = [*written, *(Move(one, one.resource) for one in await self._follow(through, moving, source))]
        if len(found) > MOST:
            raise TooCostlyError(f"More than {MOST} resources would move with one commit.")
        return found

    async def named(self, patient: str) -> Sequence[Stored]:
        """What names this patient, whole, and may move."""
        found = await self._mentions.of(patient)
        return [await one.whole() for one in found if not _stays(one)]

    async def moved(self, moves: Sequence[Move], patient: str) -> Moved:
        """Sealed for the patient. Photos are poured first; of what fails nothing is left."""
        poured: dict[ResourceKey, tuple[Photo, Photo]] = {}
        try:
            for move in moves:
                if (old := await self._photo(move.stored)) is not None:
                    poured[move.stored.key] = old, await self._pour(old, patient)
        except BaseException:
            await self.discard(new for _, new in poured.values())
            raise
        addresses = {
            f"{base}Binary/{old.id}": f"{base}Binary/{new.id}"
            for old, new in poured.values()
            for base in ("", f"{self.base}/")
        }
        standing = await self._standing(moves)
        changes = [self._change(move, addresses, poured.get(move.stored.key), standing) for move in moves]
        return Moved(tuple(changes), tuple(new for _, new in poured.values()))

    async def discard(self, photos: Iterable[Photo]) -> None:
        for photo in photos:
            await self._vault.discard(photo)

    async def _standing(self, moves: Sequence[Move]) -> Collection[ResourceKey]:
        """Of the consents those that the head row of their patient lists: no other has force, whatever it says."""
        consents = [move for move in moves if move.stored.key.type == "Consent"]
        owners = {_patient_of(move.stored.resource) for move in consents}
        heads = await self._heads.heads(owners) if owners else {}
        listed = {(key, version) for head in heads.values() for key, version in head.consents.items()}
        return {one.stored.key for one in consents if one.revives or (one.stored.key, one.stored.version) in listed}

    def _change(
        self,
        move: Move,
        addresses: Mapping[str, str],
        photos: tuple[Photo, Photo] | None,
        standing: Collection[ResourceKey],
    ) -> Change:
        stored = move.stored
        change = self._engine.drafts.of(stored.key, renamed(move.resource, addresses), stored)
        change = change.written_by(stored.author)
        if photos:
            old, new = photos
            change = change.moving_blob(BlobMove(new.id, PENDING, LIVE)).moving_blob(BlobMove(old.id, LIVE, CONDEMNED))
        return _in_head_rows(change) if stored.key in standing else change

    async def _photo(self, stored: Stored) -> Photo | None:
        if stored.key.type != "Media" or not carries_photo(stored.resource):
            return None
        photo = await self._vault.find(photo_id(stored.resource))
        return photo if photo is not None and photo.state == LIVE else None

    async def _pour(self, old: Photo, patient: str) -> Photo:
        parts = self._vault.stream(old, 0, old.length)
        return await self._vault.pour(parts, old.length, old.media_type, old.owner, (patient,))

    async def _follow(self, named: Sequence[Stored], moving: Collection[ResourceKey], source: str) -> Iterable[Stored]:
        """Of what is the source's only by what it refers to: that of which all moves."""
        rest = {one.key: set(references(one.resource)) - set(moving) for one in named}
        among = {key for keys in rest.values() for key in keys}
        found = await self._engine.store.read_many(among) if among else {}
        held = {key for key, one in found.items() if source in one.subjects} | {ResourceKey("Patient", source)}
        return [one for one in named if held.isdisjoint(rest[one.key]) and source in one.subjects]


def _in_head_rows(change: Change) -> Change:
    """A Consent in its new version is listed for the patient whom it names now, as long as it says something."""
    old, new = change.previous, change.resource
    assert old is not None, "what moves was there"
    assert new is not None, "what moves is not deleted"
    before, after = _patient_of(old.resource), _patient_of(new)
    if before != after:
        change = change.moving_head(HeadMove(before, change.key, old.version, in_force=False))
    return change.moving_head(HeadMove(after, change.key, change.version, in_force=stands(new)))


def _patient_of(consent: Json) -> str:
    return str(consent.get("patient", {}).get("reference", "")).rpartition("/")[2]


def as_seen(stored: Stored) -> Stored:
    """The whole of what a role sees a part of."""
    return stored.masked_from or stored


def _stays(stored: Stored) -> bool:
    return stored.deleted or stored.key.type == "Patient" or is_receipt(stored.resource) or is_record(stored)
