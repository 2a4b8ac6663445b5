"""One resource and its other half: both read, what to change worked out, written over the versions that were read.

A write that somebody overtook (412) is worked out again. What was written is remembered with the version that was
answered, so that it is known again when it comes back as a change.
"""

from dataclasses import dataclass, replace

from mappers.fhir_sync.authority import Authority, Side
from mappers.fhir_sync.crossing import named
from mappers.fhir_sync.link import Link
from mappers.fhir_sync.people import DOUBTFUL
from mappers.fhir_sync.reconcile import Changes, Ends, linked, reconcile
from mappers.mapping.faults import UnusableError
from mappers.mapping.json_text import Json
from mappers.runtime.delivery import Outcome
from mappers.runtime.faults import NotNowError, OvertakenError, RejectedError
from mappers.runtime.histories import Changed
from mappers.runtime.remote import Remote
from mappers.runtime.syncing.links import Links
from mappers.runtime.syncing.partners import Partners
from mappers.runtime.syncing.photos import Photos
from mappers.runtime.syncing.writing import Writing

_MOST_LOOKS = 6
_FORBIDDEN = frozenset({401, 403})
WAITS = "It names a patient who is not on both sides yet."


class WaitingError(Exception):
    """What it names has to be on both sides first."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """`known`: references of ours to what the other server has under another id, as the clinic says."""

    sides: dict[Side, Remote]
    links: Links
    partners: Partners
    photos: Photos
    writing: Writing
    authority: Authority
    known: dict[str, str]

    async def settle(self, side: Side, one: Changed) -> Outcome:
        """RejectedError, UnusableError and WaitingError where it cannot be; NotNowError where nothing can be now."""
        for _ in range(_MOST_LOOKS):
            try:
                return await self._settled(side, one)
            except OvertakenError:
                continue
        raise NotNowError("Others kept writing what is to be kept in step.")

    async def _settled(self, side: Side, one: Changed) -> Outcome:
        reference = one.reference
        link = await self._link(side, reference)
        if link is not None and (link.ended or (side is Side.THEIRS and link.etag == one.version)):
            return Outcome.NOTHING_NEW
        found = {side: await self._read(side, reference, link)}
        if link is not None:
            found[side.other] = await self._read(side.other, link.theirs if side is Side.OURS else link.ours, link)
        elif (given := found[side]) is not None:
            found[side.other] = await self._partner(given, side)
        ours, theirs = found.get(Side.OURS), found.get(Side.THEIRS)
        if link is None and found.get(side.other) is None and not self.authority.may_create(_type(one), side):
            return Outcome.NOTHING_NEW
        if reference.startswith("Media/") and ours is not None and not await self.photos.may_go(ours):
            return await self._kept_back(link, theirs)
        if reference.startswith("Media/") and ours is not None and theirs is None and link is None:
            ours = await self.photos.with_bytes(ours)
        ends = Ends(self.sides[Side.OURS].base, self.sides[Side.THEIRS].base, await self._known(ours, theirs))
        changes = worked_out(theirs, ours, link, ends, self.authority)
        return await self._write(changes, found, link)

    async def _link(self, side: Side, reference: str) -> Link | None:
        look = self.links.of_ours if side is Side.OURS else self.links.of_theirs
        return (await look([reference])).get(reference)

    async def _read(self, side: Side, reference: str, link: Link | None) -> Json | None:
        """A photograph that we may not see any more is to the other side as if it were gone."""
        try:
            return await self.sides[side].read(reference)
        except RejectedError as error:
            if link is not None and reference.startswith("Media/") and error.status in _FORBIDDEN:
                return None
            raise

    async def _partner(self, one: Json, side: Side) -> Json | None:
        found = await self.partners.of(one, side)
        if found is None:
            return None
        other = await self._link(side.other, f"{found['resourceType']}/{found['id']}")
        if other is not None:
            raise UnusableError(DOUBTFUL)
        return found

    async def _known(self, ours: Json | None, theirs: Json | None) -> dict[str, str]:
        """Our reference -> theirs, of all that either names."""
        mine = set(named(ours, self.sides[Side.OURS].base))
        yours = set(named(theirs, self.sides[Side.THEIRS].base))
        links = [*(await self.links.of_ours(mine)).values(), *(await self.links.of_theirs(yours)).values()]
        known = self.known | {one.ours: one.theirs for one in links}
        lacking = (mine - known.keys()) | (yours - set(known.values()))
        if any(one.startswith("Patient/") for one in lacking) and not _is_patient(ours or theirs):
            raise WaitingError
        return known

    async def _kept_back(self, link: Link | None, theirs: Json | None) -> Outcome:
        """What went already is taken back; should it be permitted again, it goes again."""
        if link is None:
            return Outcome.REFUSED
        if theirs is not None:
            await self.writing.take_back(theirs)
        await self.links.forget(link)
        return Outcome.WRITTEN

    async def _write(self, changes: Changes, found: dict[Side, Json | None], link: Link | None) -> Outcome:
        ours, theirs = found.get(Side.OURS), found.get(Side.THEIRS)
        if changes.ended and link is not None:
            if changes.delete is Side.THEIRS and theirs is not None:
                await self.writing.take_back(theirs)
            await self.links.keep(replace(link, ended=True), None, changes.losses)
            return Outcome.WRITTEN
        if changes.theirs is not None:
            theirs = await self.writing.theirs(changes.theirs, theirs)
        if changes.ours is not None and theirs is not None:
            ours = await self.writing.ours(changes.ours, ours, theirs)
        if ours is None or theirs is None:
            return Outcome.NOTHING_NEW
        now = linked(theirs, ours, self.authority, changes)
        is_written = changes.ours is not None or changes.theirs is not None
        if now != link or changes.losses:
            await self.links.keep(now, _patient_of(ours), changes.losses)
        return Outcome.WRITTEN if is_written else Outcome.NOTHING_NEW


def worked_out(theirs: Json | None, ours: Json | None, link: Link | None, ends: Ends, authority: Authority) -> Changes:
    """What is no FHIR is a resource that cannot be taken: the next one is not to wait behind it."""
    try:
        return reconcile(theirs, ours, link, ends, authority)
    except UnusableError:
        raise
    except Exception as error:
        raise UnusableError(f"The mapper fails on it ({type(error).__name__}).") from error


def _type(one: Changed) -> str:
    return one.reference.partition("/")[0]


def _is_patient(one: Json | None) -> bool:
    return one is not None and bool(one["resourceType"] == "Patient")


def _patient_of(ours: Json) -> str | None:
    """The one patient in whose file the link lies."""
    if _is_patient(ours):
        return f"Patient/{ours['id']}"
    found = {one for one in named(ours, "") if one.startswith("Patient/")}
    return next(iter(found)) if len(found) == 1 else None
