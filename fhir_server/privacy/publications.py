"""Step: a rendition is published by a Task that ends on a basis alone, and taken down by one that ends with a proof.

Rows S72, S74, S76 to S78, S80, S81, S84, T85 to T87. Publishing itself happens elsewhere: the Task is the clinic's
register of it. https://hl7.org/fhir/R4/task.html
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from fhir_server.consent.facts import facts_of
from fhir_server.consent.matter import rendition_of
from fhir_server.consent.purposes import BY_CODE, of_photos
from fhir_server.consent.question import Ask, Deny
from fhir_server.consent.standing import Standing
from fhir_server.consent.terms import CHANNELS
from fhir_server.engine.call import Call, Principal
from fhir_server.engine.change import Change
from fhir_server.engine.pipeline import Step
from fhir_server.engine.ports import ResourceStore
from fhir_server.engine.stored import Stored
from fhir_server.kernel.errors import ForbiddenError, NoLegalBasisError, UnprocessableError
from fhir_server.kernel.identity import ResourceKey, parse_reference
from fhir_server.kernel.json import Json
from fhir_server.media.labels import is_simulated
from fhir_server.media.photos_within import carries_photo
from fhir_server.smart.tie_sources import TASK_SYSTEM

PUBLISH, TAKEDOWN = "publish", "takedown"
PURPOSE, CHANNEL, ETHICS, PROOF = "purpose", "channel", "ethics-check", "proof"
_OVER_WITHOUT = frozenset({"cancelled", "rejected", "failed", "entered-in-error"})


class Publications(Step):
    """`server` is who acts for the server's duties."""

    def __init__(self, standing: Standing, store: ResourceStore, server: Principal) -> None:
        self._standing, self._store, self._server = standing, store, server

    async def prepare(self, call: Call, change: Change) -> Change:
        if change.key.type != "Task":
            return change
        old = change.previous.resource if change.previous and not change.previous.deleted else {}
        new: Json = change.resource or {}
        if is_task(old, TAKEDOWN):
            _require_taken_down(old, new)
        elif is_task(old, PUBLISH) and old.get("status") == "completed":
            _require_same(old, new)
        elif is_task(new, TAKEDOWN) and call.principal is not self._server:
            raise UnprocessableError("The server alone asks for a takedown.", expression="Task.code")
        elif is_task(new, PUBLISH) and new.get("status") == "completed":
            return await self._published(call, change, new)
        return change

    async def _published(self, call: Call, change: Change, task: Json) -> Change:
        """On the basis for this purpose, channel and rendition; what was computed is no result (S81)."""
        if not (call.principal.fhir_user or "").startswith("Practitioner/") or not _outputs(task, ETHICS):
            raise ForbiddenError("A practitioner checks that a publication respects professional ethics.")
        media = await rendition_in(self._store, task)
        if media is None:
            raise UnprocessableError("A publication names a photo of this server.", expression="Task.focus")
        if is_simulated(media.resource):
            raise UnprocessableError("What was simulated is not published as a result.", expression="Task.focus")
        asked = publication(task, media, call.instant)
        if asked is None:
            raise UnprocessableError(
                "A publication names patient, purpose and channel, as for, and as input.", expression="Task.input"
            )
        decided = await self._standing.decide(asked, call.trace)
        if isinstance(decided, Deny):
            raise NoLegalBasisError(f"There is no legal basis for this publication. {decided.text}")
        return change.relying_on(decided.basis)


def is_task(task: Json, code: str) -> bool:
    codings = task.get("code", {}).get("coding", [])
    return any((one.get("system"), one.get("code")) == (TASK_SYSTEM, code) for one in codings)


async def rendition_in(store: ResourceStore, task: Json) -> Stored | None:
    """The photo that a Task is about; None where there is none any more."""
    key = parse_reference(str(task.get("focus", {}).get("reference", "")))
    media = await store.read(ResourceKey(*key)) if key else None
    return media if media and not media.deleted and carries_photo(media.resource) else None


def publication(task: Json, media: Stored, now: datetime) -> Ask | None:
    """What a publication has to be allowed; None where it does not say, or speaks of somebody else's photo."""
    purpose, channel = (next(_codes(task, name), "") for name in (PURPOSE, CHANNEL))
    patient = media.resource.get("subject", {}).get("reference")
    if purpose not in BY_CODE or channel not in CHANNELS or task.get("for", {}).get("reference") != patient:
        return None
    asked = Ask(str(patient).removeprefix("Patient/"), of_photos(purpose), now, media.key, channel=channel)
    return replace(asked, facts=facts_of(media.resource), rendition=rendition_of(media.resource))


def _codes(task: Json, name: str) -> Iterator[str]:
    for one in task.get("input", []):
        if any(coding.get("code") == name for coding in one.get("type", {}).get("coding", [])):
            yield str(one.get("valueCode", ""))


def _outputs(task: Json, name: str) -> list[Json]:
    codings = [(one, one.get("type", {}).get("coding", [])) for one in task.get("output", [])]
    return [one for one, found in codings if any(coding.get("code") == name for coding in found)]


def _require_taken_down(old: Json, new: Json) -> None:
    _require_same(old, new)
    if new.get("status") in _OVER_WITHOUT:
        raise UnprocessableError("A takedown ends by being done.", expression="Task.status")
    if new.get("status") == "completed" and not _outputs(new, PROOF):
        raise UnprocessableError("A takedown is done when there is a proof of it, as output.", expression="Task.output")


def _require_same(old: Json, new: Json) -> None:
    """What it is about, and by when, does not change; nor is it deleted."""
    for name in ("code", "focus", "for", "basedOn", "restriction", "input"):
        if new.get(name) != old.get(name):
            raise UnprocessableError(f"{name} of this Task does not change.", expression=f"Task.{name}")
