"""Step: how a Consent comes into force, makes room for a newer signature, and ends.

GDPR Art. 7; architecture section 9: a newer signature for a purpose sets the older Consents for it to inactive in the
same commit; what was ended never comes back.
"""

from collections.abc import Mapping
from typing import Any

from fhir_server.consent.provision import purposes
from fhir_server.consent.purposes import CARE, COMMUNICATIONS, TREATMENT, is_one
from fhir_server.consent.rules import require_sound
from fhir_server.consent.signed import Signed, signed
from fhir_server.consent.standing import Standing
from fhir_server.consent.terms import (
    NOT_YET,
    SUPERSEDED_BY,
    WITHDRAWN_AT,
    adding,
    channels,
    has,
    in_force,
    stands,
    withdrawn,
)
from fhir_server.engine.call import Call
from fhir_server.engine.change import Change, HeadMove, Unmoved
from fhir_server.engine.pipeline import Step
from fhir_server.engine.ports import ResourceStore
from fhir_server.engine.stored import Stored
from fhir_server.kernel.clock import instant
from fhir_server.kernel.errors import ConflictError, UnprocessableError
from fhir_server.kernel.identity import parse_reference
from fhir_server.kernel.json import Json

_NEWER = (
    "A newer signature, or a withdrawal, stands for this purpose; a consent that was signed before it has no force."
)
_ENDED = "A Consent that has ended does not come into force again; a new signature is a new Consent."


class Lifecycle(Step):
    """Keeps the head rows of consents in step with the Consents."""

    def __init__(self, store: ResourceStore, standing: Standing) -> None:
        self._store, self._standing = store, standing

    async def prepare(self, call: Call, change: Change) -> Change:
        if change.key.type != "Consent" or any(move.consent == change.key for move in change.heads):
            return change
        old = change.previous.resource if change.previous and not change.previous.deleted else None
        patient = patient_of(change.content)
        if old is not None and patient_of(old) != patient:
            raise UnprocessableError("A Consent does not change its patient.", expression="Consent.patient")
        if change.resource is None:
            return change.moving_head(HeadMove(patient, change.key, change.version, in_force=False))
        new = _ending(old, change.resource, instant(call.instant)) if old is not None else change.resource
        _require_no_return(old, new)
        change = change.with_resource(new) if new is not change.resource else change
        if in_force(new) and (old is None or not in_force(old) or old.get("provision") != new.get("provision")):
            require_sound(new, call.instant)
            change = await self._making_room(call, change, patient, new)
        return change.moving_head(HeadMove(patient, change.key, change.version, stands(new)))

    async def _making_room(self, call: Call, change: Change, patient: str, new: Json) -> Change:
        """The older Consents for the same purpose end with this commit, which fails when others come in between."""
        stand = await self._standing.of(patient)
        if stand is None or not stand.head.consents:
            return change if stand is None else change.only_if(Unmoved(patient, stand.head.epoch))
        moment = signed(new, call.instant)
        found = await self._store.read_many([key for key in stand.head.consents if key != change.key])
        for other in sorted(found.values(), key=lambda each: each.key):
            if not other.deleted and same_subject(new, other.resource):
                change = _retiring(change, patient, other, moment, call)
        return change.only_if(Unmoved(patient, stand.head.epoch))


def patient_of(consent: Mapping[str, Any]) -> str:
    """The id of the patient who consents; 422 where it names none here."""
    reference = consent.get("patient", {}).get("reference")
    key = parse_reference(reference) if isinstance(reference, str) else None
    if key is None or key.type != "Patient":
        raise UnprocessableError(
            "Consent.patient must be a reference to a Patient of this server.", expression="Consent.patient"
        )
    return key.id


def _retiring(change: Change, patient: str, other: Stored, moment: Signed, call: Call) -> Change:
    theirs = signed(other.resource, call.instant, other.last_updated)
    if theirs.is_after(moment):
        raise ConflictError(_NEWER, expression="Consent.dateTime")
    if not moment.is_after(theirs):
        return change
    extension = {"url": SUPERSEDED_BY, "valueReference": {"reference": str(change.key)}}
    retired = adding({**other.resource, "status": "inactive"}, extension)
    move = HeadMove(patient, other.key, other.version + 1, in_force=False)
    return change.bringing(Change(other.key, retired, other, other.subjects).moving_head(move))


def same_subject(one: Json, other: Json) -> bool:
    """Are they for the same purpose; messages, over the same channels?"""
    first, second = purposes(one.get("provision", {})), purposes(other.get("provision", {}))
    if not is_one(first) or not is_one(second):
        return False
    if first == second == {COMMUNICATIONS}:
        return not channels(one).isdisjoint(channels(other)) or channels(one) == channels(other)
    return first == second or (TREATMENT in first and TREATMENT in second and CARE.issuperset(first | second))


def _ending(old: Json, new: Json, now: str) -> Json:
    """A permission that is set to inactive was withdrawn, whoever says it and however."""
    permits = old.get("provision", {}).get("type") == "permit"
    if in_force(old) and permits and new.get("status") == "inactive" and not has(new, WITHDRAWN_AT):
        return adding(new, {"url": WITHDRAWN_AT, "valueInstant": now})
    return new


def _require_no_return(old: Json | None, new: Json) -> None:
    if has(new, SUPERSEDED_BY) and (old is None or not has(old, SUPERSEDED_BY)):
        raise UnprocessableError("Only a newer signature supersedes a Consent.", expression="Consent.extension")
    if old is None:
        return
    if in_force(new) and old.get("status") not in {"active", *NOT_YET}:
        raise UnprocessableError(_ENDED, expression="Consent.status")
    if new.get("status") in NOT_YET and old.get("status") not in NOT_YET:
        raise UnprocessableError("A Consent that had force does not become a draft.", expression="Consent.status")
    if withdrawn(old) and not withdrawn(new):
        raise UnprocessableError(_ENDED, expression="Consent.status")
