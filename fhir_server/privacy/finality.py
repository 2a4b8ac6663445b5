"""After a rotation of the root key: a second receipt for each erasure and withdrawal that nothing undoes any more.

GDPR Art. 17, 5(2); architecture section 1: inaccessible at once, unrecoverable after the next rotation, each with its
own receipt. What was destroyed while a rotation ran waits for the next one.
"""

from datetime import datetime

from fhir_server.crypto.providers.port import DestructionNote
from fhir_server.crypto.rekeying import Rekeying
from fhir_server.engine.call import Call, Interaction, Principal
from fhir_server.engine.interactions import Engine
from fhir_server.kernel.clock import Clock
from fhir_server.kernel.identity import parse_reference
from fhir_server.privacy.ports import Final, Rotations
from fhir_server.privacy.receipt import Scribe


class Finality:
    """The chore that files these receipts. `server` is who acts."""

    def __init__(self, engine: Engine, rotations: Rotations, scribe: Scribe, clock: Clock, server: Principal) -> None:
        self._engine, self._rotations, self._scribe = engine, rotations, scribe
        self._clock, self._server = clock, server

    async def __call__(self) -> None:
        """May be stopped anywhere: a receipt has an id that follows from what it tells of."""
        while rotation := await self._rotations.untold(self._clock.now()):
            for final in rotation.finals:
                await self._file(final)
            await self._rotations.told(rotation.version)

    async def _file(self, final: Final) -> None:
        patient = await self._patient(final.cause)
        if patient is None:
            return
        key = self._scribe.final_key(patient, final)
        if await self._engine.store.read(key) is not None:
            return
        now = self._clock.now()
        first = self._scribe.erasure_key(patient, final.cause)
        appends = first if await self._engine.store.read(first) is not None else None
        resource = self._scribe.final(key, final, patient, appends, now)
        call = Call(Interaction.UPDATE, self._server, now, key.type, key.id)
        await self._engine.commit(call, self._engine.drafts.of(key, resource))

    async def _patient(self, cause: str) -> str | None:
        """Whose it was, as the cause says. None: no request of anybody's, or erased itself with all that proved it."""
        reference, _, version = cause.partition("/_history/")
        key = parse_reference(reference)
        stored = await self._engine.store.read_version(key, int(version)) if key and version.isdigit() else None
        if stored is None or stored.deleted:
            return None
        whose = stored.resource.get("for") or stored.resource.get("patient") or {}
        patient = parse_reference(str(whose.get("reference", "")))
        return patient.id if patient and patient.type == "Patient" else None


async def renew_root(rekeying: Rekeying, rotations: Rotations) -> int:
    """Every key under a further version of the root, or under that of a rotation that was not finished.

    First how many keys were destroyed, then the renewal above all of these, then the new version: so no copy of them
    is ever wrapped under it.
    """
    destroyed = await rotations.length()
    await rekeying.finish()
    return await rekeying.renew_root(lambda version: rotations.begin(version, destroyed))


async def retire_root(rekeying: Rekeying, rotations: Rotations, version: int, now: datetime) -> DestructionNote:
    """The versions before this one end."""
    note = await rekeying.retire_root(version - 1)
    await rotations.end(version, note.effective or now)
    return note
