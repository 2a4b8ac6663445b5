"""The worker's duty after an erasure: destroy the keys and the bytes, try to open them, file the receipt.

GDPR Art. 17, 5(2); architecture section 9. What it goes by stands in the version of the request that the commit made,
so that it goes on after a crash wherever it stopped.
"""

from fhir_server.engine.call import Call, Interaction, Principal
from fhir_server.engine.change import Erasure
from fhir_server.engine.interactions import Engine
from fhir_server.engine.stored import Stored
from fhir_server.engine.tasks import Task
from fhir_server.kernel.clock import Clock
from fhir_server.kernel.errors import UnavailableError
from fhir_server.kernel.identity import ResourceKey, parse_reference
from fhir_server.media.ports import CONDEMNED, DESTROYED, PhotoVault
from fhir_server.privacy.ports import Holdings
from fhir_server.privacy.receipt import Erased, Scribe
from fhir_server.privacy.recipients import Disclosures, Recipients, notices
from fhir_server.privacy.requests import ERASE, keys_in, said_in


class Shredding:
    """A task handler: may be stopped anywhere and run again, and ends with one receipt."""

    def __init__(
        self,
        engine: Engine,
        holdings: Holdings,
        vault: PhotoVault,
        disclosures: Disclosures,
        scribe: Scribe,
        clock: Clock,
        server: Principal,
    ) -> None:
        self._engine, self._holdings, self._vault, self._disclosures = engine, holdings, vault, disclosures
        self._scribe, self._clock, self._server = scribe, clock, server

    async def __call__(self, task: Task) -> None:
        request = await self._request(task.cause)
        keys = keys_in(request)
        condemned = await self._vault.of_patient(task.patient, {CONDEMNED})
        # 1. Without their keys nothing opens what the classes and the photos were, wherever copies of it lie. All at
        #    once: each destruction renews the wrapping keys above it.
        await self._holdings.destroy([*keys, *(photo.key for photo in condemned)], task.cause)
        # 2. The photos' bytes; and each is tried to open.
        await self._vault.destroy(condemned, task.cause)
        gone = [one for one in await self._vault.of_patient(task.patient, {DESTROYED}) if one.reason == task.cause]
        # 3. Whoever received any of it is to be told (Art. 19).
        told = await self._disclosures.of(task.patient, self._clock.now())
        await self._ask_to_tell(task, told)
        # 4. Whoever asks for the receipt finds one that is true.
        since, said = request.last_updated, tuple(said_in(request))
        await self._file(Erased(task.patient, task.cause, since, said, tuple(keys), tuple(gone), told.clients))

    async def _ask_to_tell(self, task: Task, told: Recipients) -> None:
        """A Task for each recipient, under an id that follows from both."""
        request = parse_reference(task.cause)
        assert request is not None, "the request was read"
        patient = ResourceKey("Patient", task.patient)
        for client, notice in zip(told.clients, notices(request, ERASE, patient, told), strict=True):
            key = self._scribe.notice_key(task.patient, task.cause, client)
            if await self._engine.store.read(key) is None:
                call = Call(Interaction.UPDATE, self._server, self._clock.now(), key.type, key.id)
                await self._engine.commit(call, self._engine.drafts.of(key, {**notice, "id": key.id}))

    async def _request(self, cause: str) -> Stored:
        reference, _, version = cause.partition("/_history/")
        key = parse_reference(reference)
        stored = await self._engine.store.read_version(key, int(version)) if key else None
        if stored is None or stored.deleted:
            raise UnavailableError("The request for the erasure is not there; the task runs again.")
        return stored

    async def _file(self, erased: Erased) -> None:
        """One receipt per cause, under an id that follows from it; filed already means done."""
        key = self._scribe.erasure_key(erased.patient, erased.cause)
        if await self._engine.store.read(key) is not None:
            return
        now = self._clock.now()
        resource = self._scribe.erasure(key, erased, now)
        call = Call(Interaction.UPDATE, self._server, now, key.type, key.id)
        # What somebody wrote in that moment with a key that was about to go opens no more: it goes with this commit.
        change = self._engine.drafts.of(key, resource).erasing(Erasure(erased.keys))
        await self._engine.commit(call, change)
