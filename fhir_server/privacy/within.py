"""Pictures that stand in resources which are no photos: decided on again, and taken out where nothing covers them.

GDPR Art. 17(1)(b); architecture section 9: any element whose bytes are a picture is a photo. The rest of the resource
stays. What had the picture in it is sealed under a key of its own, which goes with all of these versions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from fhir_server.consent.facts import facts_of
from fhir_server.consent.matter import rendition_of
from fhir_server.consent.purposes import CARE_PHOTOGRAPHY
from fhir_server.consent.question import Ask, Permit
from fhir_server.consent.standing import Standing
from fhir_server.engine.call import Call, Interaction, Principal
from fhir_server.engine.change import Erasure, Unmoved
from fhir_server.engine.interactions import Engine
from fhir_server.engine.stored import Stored
from fhir_server.kernel.clock import Clock
from fhir_server.kernel.errors import ConflictError, StaleBasisError, UnavailableError, VersionConflictError
from fhir_server.kernel.identity import ResourceKey
from fhir_server.media.photos_within import without_pictures
from fhir_server.media.ports import LIVE, WITHIN, Photo, PhotoVault
from fhir_server.privacy.kept_by_law import KeptByLaw
from fhir_server.privacy.merging.record import Merges
from fhir_server.privacy.ports import Holdings, Picture
from fhir_server.privacy.receipt import Kept
from fhir_server.privacy.remedies import is_restriction

_MOST_TRIES = 5


class Within:
    """`law`: what forbids to destroy, whatever was withdrawn."""

    def __init__(
        self,
        engine: Engine,
        standing: Standing,
        holdings: Holdings,
        vault: PhotoVault,
        clock: Clock,
        server: Principal,
        law: KeptByLaw,
    ) -> None:
        self._engine, self._standing, self._holdings, self._vault = engine, standing, holdings, vault
        self._clock, self._server, self.law = clock, server, law
        self._merges = Merges(engine)

    async def decided(self, patient: str) -> list[Kept]:
        """What stays, with the reason. The rest is condemned: nothing but its key is left of it."""
        stored = await self._engine.store.read(ResourceKey("Patient", patient))
        # Of a record that became this one, earlier versions lie under keys of their own.
        before = await self._merges.gathered(stored) if stored and not stored.deleted else ()
        found = {one.key: one for id in (patient, *before) for one in await self._holdings.pictures(id)}
        decided = [await self._decide_again(one, patient, before) for one in found.values()]
        return [one for one in decided if one is not None]

    async def destroy(self, condemned: list[Photo], cause: str) -> None:
        """Their keys, and large data that these sealed."""
        if keys := [one.key for one in condemned if one.id.startswith(WITHIN)]:
            await self._holdings.destroy(keys, cause)

    async def _decide_again(self, found: Picture | None, patient: str, before: Sequence[str]) -> Kept | None:
        """Taken out in one commit, which fails if a consent comes in between or the resource is changed.

        `before`: whoever became this patient is this patient.
        """
        for _ in range(_MOST_TRIES):
            if found is None:
                return None
            owners = tuple(sorted({patient if one in before else one for one in found.owners}))
            picture = replace(found, owners=owners)
            why, epochs = await self._why(picture)
            if why:
                return self._kept(picture, why) if picture.newest else None
            try:
                if picture.current and picture.newest is not None:
                    await self._take_out(picture.newest, picture.key, epochs)
            except (StaleBasisError, VersionConflictError, ConflictError):
                again = await self._holdings.pictures(found.owners[0])
                found = next((one for one in again if one.key == picture.key), None)
                continue
            await self._vault.condemn_within(picture.resource, picture.owners, picture.key)
            return None
        raise UnavailableError("The patient's consents kept changing; the task runs again.")

    async def _take_out(self, stored: Stored, key: bytes, epochs: Mapping[str, int]) -> None:
        resource = without_pictures((await stored.whole()).resource)
        change = self._engine.drafts.of(stored.key, resource, stored).erasing(Erasure((key,)))
        for patient, epoch in epochs.items():
            change = change.only_if(Unmoved(patient, epoch))
        call = Call(Interaction.UPDATE, self._server, self._clock.now(), stored.key.type, stored.key.id)
        await self._engine.commit(call, change)

    async def _why(self, picture: Picture) -> tuple[str | None, Mapping[str, int]]:
        """Why it stays, if it does: it needs the basis of each whom it may show; and the epochs that this was seen in.

        Where one of them has none, nobody sees it. Then it stays only as far as the law has it kept for any of them.
        """
        epochs: dict[str, int] = {}
        bases: list[str] = []
        for patient in picture.owners:
            stand = await self._standing.of(patient)
            if stand is not None and (found := next(filter(is_restriction, stand.consents), None)):
                return f"restricted: Consent/{found['id']}", epochs
            epochs[patient] = stand.head.epoch if stand else 0
            decision = await self._standing.decide(self._ask(picture, patient))
            bases += [str(decision.basis)] if isinstance(decision, Permit) else []
        if len(bases) == len(picture.owners):
            return bases[0], epochs
        for patient in picture.owners:
            if law := await self.law.why(patient, self._clock.now()):
                return f"restricted: {law}", epochs
        return None, epochs

    def _ask(self, picture: Picture, patient: str) -> Ask:
        """Could anybody bound to secrecy still use it for care?"""
        profession = min(self._standing.law.pack.professions, default=None)
        ask = Ask(patient, CARE_PHOTOGRAPHY, self._clock.now(), picture.resource, profession=profession)
        if picture.newest is None:
            return ask
        resource = picture.newest.resource
        return replace(ask, facts=facts_of(resource), rendition=rendition_of(resource))

    def _kept(self, picture: Picture, why: str) -> Kept:
        id, now = f"{WITHIN}{picture.key.hex()}", self._clock.now()
        return Kept(Photo(id, picture.resource, picture.owners, LIVE, "", 0, picture.key, b"", now), why)
