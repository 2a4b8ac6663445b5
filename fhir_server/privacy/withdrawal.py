"""A withdrawn consent: in force no more with that commit, and everything that rested on it is decided again.

GDPR Art. 7(3), 17(1)(b); as easy as giving: one call, no reason asked.
"""

from fhir_server.consent.terms import WITHDRAWN_AT, WITHDRAWN_BY, adding, in_force, withdrawn
from fhir_server.engine.call import Call
from fhir_server.engine.change import Change
from fhir_server.engine.interactions import Engine
from fhir_server.engine.pipeline import Step
from fhir_server.engine.stored import Stored
from fhir_server.engine.tasks import Task
from fhir_server.kernel.clock import instant
from fhir_server.kernel.errors import UnprocessableError
from fhir_server.kernel.identity import NewId, ResourceKey, parse_reference
from fhir_server.kernel.json import Json
from fhir_server.privacy.withdrawal_record import provenance

RECONSIDER_PHOTOS = "reconsider-photos"

BY = frozenset({"patient", "in-person", "phone", "letter", "email", "sms", "link"})
"""How the patient's word came in."""


class Withdrawal(Step):
    """In the commit that ends a consent's force: a Provenance of it, and the order to decide on the photos again."""

    def __init__(self, new_id: NewId) -> None:
        self._new_id = new_id

    async def prepare(self, call: Call, change: Change) -> Change:
        if change.key.type != "Consent":
            return change
        old = change.previous.resource if change.previous and not change.previous.deleted else None
        if old is None or not in_force(old) or _stays(old, change.resource):
            return change
        patient = parse_reference(old["patient"]["reference"])
        if patient is None:
            return change
        if change.resource is not None and withdrawn(change.resource):
            key = ResourceKey("Provenance", self._new_id())
            trail = provenance(key, change.resource, change.version, call.principal, instant(call.instant))
            change = change.bringing(Change(key, trail, None, change.subjects, "POST", by_duty=True))
        return change.queueing(Task(RECONSIDER_PHOTOS, patient.id, f"{change.key}/_history/{change.version}"))


def _stays(old: Json, new: Json | None) -> bool:
    """Still in force and saying the same: an edit of a note takes nothing away."""
    return new is not None and in_force(new) and new.get("provision") == old.get("provision")


async def withdraw(engine: Engine, call: Call, channel: str | None = None) -> Stored:
    """`Consent/[id]/$withdraw`: the consent, inactive. A second call changes nothing and is answered alike.

    `channel`: how the patient's word came in, where somebody else passes it on.
    """
    return await engine.amend(call, lambda consent: _withdrawn(consent, instant(call.instant), channel))


def _withdrawn(consent: Json, now: str, channel: str | None) -> Json | None:
    if consent.get("status") == "inactive":
        return None
    if not in_force(consent):
        raise UnprocessableError("Only a consent in force can be withdrawn.", expression="Consent.status")
    if consent.get("provision", {}).get("type") == "deny":
        raise UnprocessableError("A refusal is not withdrawn; give a consent instead.", expression="Consent.provision")
    how = [{"url": WITHDRAWN_BY, "valueCode": channel}] if channel else []
    return adding({**consent, "status": "inactive"}, {"url": WITHDRAWN_AT, "valueInstant": now}, *how)
