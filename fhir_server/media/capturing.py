"""May photographs of this patient be taken now, on this device? And what a token of such a session is good for.

Requirements S86, T35, T37, M20: the decision before the shutter, held to at each upload. That a device is lost is said
of its Device, and counts at once.
"""

from dataclasses import replace

from fhir_server.engine.call import Call, Capture, Interaction
from fhir_server.engine.change import BlobMove, Change
from fhir_server.engine.interactions import Engine
from fhir_server.engine.pipeline import Step
from fhir_server.engine.ports import ResourceStore
from fhir_server.engine.stored import Stored
from fhir_server.kernel.errors import (
    ForbiddenError,
    NoLegalBasisError,
    UnauthenticatedError,
    UnprocessableError,
)
from fhir_server.kernel.identity import NewId, ResourceKey
from fhir_server.media.ports import LIVE, PENDING
from fhir_server.media.vocabulary import DEVICE_KEY
from fhir_server.search.tree import Query


class Capturing:
    def __init__(self, engine: Engine, new_id: NewId) -> None:
        self._engine, self._new_id = engine, new_id

    async def decide(self, call: Call, patient: str, device: str, thumbprint: str) -> str:
        """The basis on which a photograph could be stored now. Raises what storing one would."""
        async with self._engine.attempt(call) as attempt:
            await self._engine.steps.admit(call)
            if not holds(await self._engine.store.read(ResourceKey("Device", device)), thumbprint):
                raise UnprocessableError(
                    "The device is no active Device that has the key of the proof.", expression="Parameters.parameter"
                )
            person = await self._engine.store.read(ResourceKey("Patient", patient))
            creating = replace(call, interaction=Interaction.CREATE, operation=None)
            change = await self._engine.drafts.prepared(creating, self._promised(patient))
            assert person is not None, "what is prepared is of somebody who is on file"
            assert change.basis is not None, "no photograph of a patient is prepared without one"
            call.trace.bases[patient] = change.basis
            attempt.disclosed.append(person)
            return str(change.basis)

    def _promised(self, patient: str) -> Change:
        """A photograph as it would come in."""
        key = ResourceKey("Media", self._new_id())
        media = {
            "resourceType": "Media",
            "id": key.id,
            "status": "completed",
            "subject": {"reference": f"Patient/{patient}"},
            "content": {"contentType": "image/jpeg", "url": "Binary/promised"},
        }
        return self._engine.drafts.of(key, media, None, "POST").moving_blob(BlobMove("promised", PENDING, LIVE))


class Captured(Step):
    """A capture session brings photographs on the basis on which it began, from a device that is not lost."""

    def __init__(self, store: ResourceStore) -> None:
        self._store = store

    async def admit(self, call: Call) -> None:
        if (session := call.principal.capture) is None:
            return
        _require_bringing(call)
        await self._require_device(session)

    async def narrow(self, call: Call, query: Query) -> Query:
        _require_bringing(call)
        return query

    async def prepare(self, call: Call, change: Change) -> Change:
        session = call.principal.capture
        if session is not None and change.basis is not None and str(change.basis) != session.basis:
            raise NoLegalBasisError("What this capture session was decided on has changed. Begin another one.")
        return change

    async def disclose(self, call: Call, stored: Stored) -> Stored | None:
        return stored if call.principal.capture is None or _brings(call) else None

    async def _require_device(self, session: Capture) -> None:
        if not holds(await self._store.read(ResourceKey("Device", session.device)), session.key):
            raise UnauthenticatedError("The device of this session was revoked.")


def holds(device: Stored | None, thumbprint: str) -> bool:
    """Is it in use, and has it this key?"""
    if device is None or device.deleted or device.resource.get("status") != "active":
        return False
    keys = [one.get("value") for one in device.resource.get("identifier", []) if one.get("system") == DEVICE_KEY]
    return thumbprint in keys


def _brings(call: Call) -> bool:
    operation = call.interaction is Interaction.OPERATION and call.operation == "upload"
    return call.type == "Media" and (operation or call.interaction is Interaction.CREATE)


def _require_bringing(call: Call) -> None:
    if call.principal.capture is not None and not _brings(call):
        raise ForbiddenError("A capture session brings photographs, and does nothing else.")
