"""`Patient/[id]/$break-glass`: one person, one patient, a reason, an hour at most; recorded, told, reviewed.

M11, EHDS Art. 9; R-PCF-013. It stands in for a treating tie that is missing. A refusal of treatment that takes
emergencies out lets it count too, which is for consent to say (`consent.verdict`); restriction, erasure and every
purpose other than treatment do not look at it.

The review Task is the state: it ties (`smart.tie_sources`) from when until when its first version says, which only the
server writes. Whoever reviews it ends it at once by refusing it.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from fhir_server.engine.call import Call
from fhir_server.engine.change import Change
from fhir_server.engine.interactions import Engine
from fhir_server.engine.pipeline import Step
from fhir_server.kernel.clock import instant
from fhir_server.kernel.errors import ForbiddenError, InvalidRequestError
from fhir_server.kernel.identity import NewId, ResourceKey
from fhir_server.kernel.json import Json
from fhir_server.smart.authorship import author_of
from fhir_server.smart.rights import rights_of
from fhir_server.smart.tie_sources import GLASS, TASK_SYSTEM

PURPOSE = "BTG"
OPERATION = "break-glass"
_MOST_REASON = 500
_CATEGORY = "http://terminology.hl7.org/CodeSystem/communication-category"


@dataclass(frozen=True, slots=True)
class GlassPolicy:
    """`roles`: those that may, among the roles for which it is meant at all. `longest`: how long it stays broken."""

    roles: frozenset[str]
    longest: timedelta = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Broken:
    """What was asked for and granted."""

    task: ResourceKey
    until: datetime


class Glass:
    def __init__(self, engine: Engine, new_id: NewId, policy: GlassPolicy) -> None:
        self._engine, self._new_id, self._policy = engine, new_id, policy

    async def broken(self, call: Call, body: object) -> Broken:
        """Raises ForbiddenError for a role that may not, InvalidRequestError without a reason."""
        asked = replace(call, purpose=PURPOSE)
        async with self._engine.attempt(asked) as attempt:
            await self._engine.steps.admit(asked)
            person = self._person(asked)
            reason, length = _understood(body, self._policy.longest)
            patient = (await self._engine.look(asked)).key
            until = asked.instant + length
            task, communication = ResourceKey("Task", self._new_id()), ResourceKey("Communication", self._new_id())
            drawn_up = (
                (task, _review(patient, person, reason, asked.instant, until)),
                (communication, _notice(patient, task, asked)),
            )
            changes = [await self._prepared(asked, key, resource) for key, resource in drawn_up]
            await self._engine.store.commit(changes)
            attempt.committed = True
        return Broken(task, until)

    async def _prepared(self, call: Call, key: ResourceKey, resource: Json) -> Change:
        return await self._engine.drafts.prepared(
            call, self._engine.drafts.of(key, {**resource, "id": key.id}, None, "POST")
        )

    def _person(self, call: Call) -> ResourceKey:
        rights = rights_of(call.principal)
        role = rights.role
        if role is None or not role.breaks_glass or role.name not in self._policy.roles:
            raise ForbiddenError("Your role does not break the glass.")
        if rights.person is None:
            raise ForbiddenError("The glass is broken by a person; this token names none.")
        return rights.person


class GlassReviews(Step):
    """A review is opened by the server alone, and nobody reviews themselves."""

    async def prepare(self, call: Call, change: Change) -> Change:
        if change.key.type != "Task":
            return change
        old = change.previous.resource if change.previous and not change.previous.deleted else None
        was, becomes = old is not None and _is_review(old), change.resource is not None and _is_review(change.resource)
        if becomes and not was and call.operation != OPERATION:
            raise ForbiddenError("A review of a broken glass is opened by the server alone.")
        if was and old is not None and author_of(call.principal) == old["requester"]["reference"]:
            raise ForbiddenError("Nobody reviews themselves.")
        return change


def _is_review(task: Json) -> bool:
    codings = task.get("code", {}).get("coding", [])
    return any(coding.get("system") == TASK_SYSTEM and coding.get("code") == GLASS for coding in codings)


def _review(patient: ResourceKey, person: ResourceKey, reason: str, now: datetime, until: datetime) -> Json:
    return {
        "resourceType": "Task",
        "status": "requested",
        "intent": "order",
        "priority": "urgent",
        "code": {"coding": [{"system": TASK_SYSTEM, "code": GLASS, "display": "Review of a broken glass"}]},
        "focus": {"reference": str(patient)},
        "for": {"reference": str(patient)},
        "authoredOn": instant(now),
        "requester": {"reference": str(person)},
        "reasonCode": {"text": reason},
        "restriction": {"period": {"start": instant(now), "end": instant(until)}},
    }


def _notice(patient: ResourceKey, task: ResourceKey, call: Call) -> Json:
    """What the patient is told; the reason may speak of others, so it stays with the review."""
    who = call.principal.name or call.principal.fhir_user
    says = (
        f"{who} opened your record in an emergency, without being among those who treat you. "
        "Everything that was looked at is recorded, and the clinic reviews whether it was right."
    )
    return {
        "resourceType": "Communication",
        "status": "completed",
        "category": [{"coding": [{"system": _CATEGORY, "code": "notification"}]}],
        "subject": {"reference": str(patient)},
        "about": [{"reference": str(task)}],
        "sent": instant(call.instant),
        "recipient": [{"reference": str(patient)}],
        "payload": [{"contentString": says}],
    }


def _understood(body: object, longest: timedelta) -> tuple[str, timedelta]:
    """The reason, and for how long."""
    given = body.get("parameter") if isinstance(body, dict) and body.get("resourceType") == "Parameters" else None
    named = {one.get("name"): one for one in given if isinstance(one, dict)} if isinstance(given, list) else {}
    reason = _text(named.get("reason", {}))
    if not reason or len(reason) > _MOST_REASON:
        raise InvalidRequestError(f"Parameters must have a `reason`, as text of at most {_MOST_REASON} characters.")
    if "minutes" not in named:
        return reason, longest
    minutes = named["minutes"].get("valuePositiveInt", named["minutes"].get("valueInteger"))
    most = longest // timedelta(minutes=1)
    if not isinstance(minutes, int) or isinstance(minutes, bool) or not 1 <= minutes <= most:
        raise InvalidRequestError(f"`minutes` is a whole number from 1 to {most}.")
    return reason, timedelta(minutes=minutes)


def _text(parameter: Json) -> str:
    coded = parameter.get("valueCodeableConcept")
    said = parameter.get("valueString") or (coded.get("text") if isinstance(coded, dict) else None)
    return said.strip() if isinstance(said, str) else ""


def parameters(broken: Broken) -> Json:
    """What the operation answers."""
    return {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "until", "valueInstant": instant(broken.until)},
            {"name": "review", "valueReference": {"reference": str(broken.task)}},
        ],
    }
