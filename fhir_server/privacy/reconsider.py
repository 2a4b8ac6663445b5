"""The worker's duty after a withdrawal: decide again on every photo of the patient, destroy what nothing covers.

GDPR Art. 17(1)(b), 5(2); architecture section 9: a photo is not bound to one Consent, so each is decided anew.
"""

from collections.abc import Collection
from dataclasses import replace

from fhir_server.consent.facts import facts_of
from fhir_server.consent.matter import rendition_of
from fhir_server.consent.purposes import CARE_PHOTOGRAPHY
from fhir_server.consent.question import Ask, Permit
from fhir_server.consent.standing import Standing
from fhir_server.engine.call import Call, Interaction, Principal
from fhir_server.engine.change import BlobMove, Erasure, Unmoved
from fhir_server.engine.interactions import Engine
from fhir_server.engine.ports import ResourceStore
from fhir_server.engine.stored import Stored
from fhir_server.engine.tasks import Task
from fhir_server.kernel.clock import Clock
from fhir_server.kernel.errors import ConflictError, StaleBasisError, UnavailableError, VersionConflictError
from fhir_server.kernel.identity import ResourceKey
from fhir_server.media.labels import is_rendition
from fhir_server.media.ports import CONDEMNED, DESTROYED, LIVE, WITHIN, Photo, PhotoVault
from fhir_server.privacy.receipt import Kept, Receipt, Scribe
from fhir_server.privacy.remedies import is_restriction
from fhir_server.privacy.takedown import Takedowns
from fhir_server.privacy.within import Within

_MOST_TRIES = 5


class Reconsider:
    """A task handler: may be stopped anywhere and run again, and ends with one receipt per cause."""

    def __init__(
        self,
        engine: Engine,
        store: ResourceStore,
        standing: Standing,
        vault: PhotoVault,
        scribe: Scribe,
        clock: Clock,
        server: Principal,
        within: Within,
    ) -> None:
        self._engine, self._store, self._standing = engine, store, standing
        self._vault, self._scribe, self._clock, self._server = vault, scribe, clock, server
        self._within = within
        self._takedowns = Takedowns(engine, store, standing, scribe, clock, server)

    async def __call__(self, task: Task) -> None:
        unpublished = await self._takedowns.ask_for(task.patient, task.cause)
        kept = [
            decided
            for photo in await self._vault.of_patient(task.patient, {LIVE})
            if (decided := await self._decide_again(photo, task.patient, unpublished))
        ]
        kept += await self._within.decided(task.patient)
        condemned = await self._vault.of_patient(task.patient, {CONDEMNED})
        await self._within.destroy(condemned, task.cause)
        await self._vault.destroy(condemned, task.cause)
        gone = [one for one in await self._vault.of_patient(task.patient, {DESTROYED}) if one.reason == task.cause]
        await self._file(Receipt(task.patient, task.cause, tuple(gone), tuple((k.photo, k.because) for k in kept)))

    async def _decide_again(self, photo: Photo, patient: str, unpublished: Collection[ResourceKey]) -> Kept | None:
        """Kept, or condemned together with its Media in one commit, which fails if a consent comes in between.

        `unpublished`: what was published and may not be any more. A rendition of these has served its end.
        """
        for _ in range(_MOST_TRIES):
            stand = await self._standing.of(patient)
            if stand is not None and (found := next(filter(is_restriction, stand.consents), None)):
                return Kept(photo, f"restricted: Consent/{found['id']}")
            epoch = stand.head.epoch if stand else 0
            media = await self._store.read(photo.owner)
            decision = await self._standing.decide(self._ask(photo, patient, media))
            made = media is not None and not media.deleted and is_rendition(media.resource)
            if isinstance(decision, Permit) and not (made and photo.owner in unpublished):
                return Kept(photo, str(decision.basis))
            if not made and (law := await self._within.law.why(patient, self._clock.now())):
                return Kept(photo, f"restricted: {law}")
            if media is None or media.deleted:
                await self._vault.condemn(photo)
                return None
            change = self._engine.drafts.of(photo.owner, None, media)
            change = change.only_if(Unmoved(patient, epoch)).moving_blob(BlobMove(photo.id, LIVE, CONDEMNED))
            try:
                await self._engine.commit(self._call(Interaction.DELETE, photo.owner), change)
            except (StaleBasisError, VersionConflictError, ConflictError):
                continue
            return None
        raise UnavailableError("The patient's consents kept changing; the task runs again.")

    def _ask(self, photo: Photo, patient: str, media: Stored | None) -> Ask:
        """Could anybody bound to secrecy still use it for care?"""
        ask = Ask(patient, CARE_PHOTOGRAPHY, self._clock.now(), photo.owner)
        ask = replace(ask, profession=min(self._standing.law.pack.professions, default=None))
        if media is None or media.deleted:
            return ask
        return replace(ask, facts=facts_of(media.resource), rendition=rendition_of(media.resource))

    async def _file(self, receipt: Receipt) -> None:
        """One receipt per cause, under an id that follows from it; filed already means done."""
        key = self._scribe.key(receipt)
        if await self._store.read(key) is not None:
            return
        resource = self._scribe.written(key, receipt, self._clock.now())
        change = self._engine.drafts.of(key, resource)
        if keys := tuple(photo.key for photo in receipt.gone if photo.id.startswith(WITHIN)):
            # Earlier versions of what is no more go with this commit; so does what was written in that moment.
            change = change.erasing(Erasure(keys))
        await self._engine.commit(self._call(Interaction.UPDATE, key), change)

    def _call(self, interaction: Interaction, key: ResourceKey) -> Call:
        return Call(interaction, self._server, self._clock.now(), key.type, key.id)
