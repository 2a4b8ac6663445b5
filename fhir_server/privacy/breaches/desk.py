"""The operations on a breach: how far it reached, what the authority is told, letters to the patients.

GDPR Art. 33(3), 34; rows S21, S66 to S68.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from fhir_server.engine.attempts import Attempt, disclosing
from fhir_server.engine.call import Call, Interaction, Principal
from fhir_server.engine.interactions import Engine
from fhir_server.engine.stored import Stored
from fhir_server.kernel.clock import instant
from fhir_server.kernel.errors import UnprocessableError
from fhir_server.kernel.identity import ResourceKey
from fhir_server.kernel.json import Json
from fhir_server.privacy.authorities import Authority
from fhir_server.privacy.breaches.reach import Reach, Scope, numbers
from fhir_server.privacy.breaches.record import SYSTEM, Breach, breach_of, is_breach
from fhir_server.privacy.contact import privacy_contact

LETTER = "breach-letter"


@dataclass(frozen=True, slots=True)
class Notification:
    """What Art. 33(3) asks for, (a) to (d). `missing`: what may follow in phases, Art. 33(4)."""

    breach: Breach
    scope: Scope
    contact: str
    missing: tuple[str, ...]


class BreachDesk:
    """`server` is who writes the letters down."""

    def __init__(self, engine: Engine, reach: Reach, authority: Authority, server: Principal) -> None:
        self._engine, self._reach, self.authority, self._server = engine, reach, authority, server

    async def scope(self, call: Call) -> Scope:
        """`Task/[id]/$breach-scope`."""

        async def once(attempt: Attempt) -> Scope:
            _, breach = await self._breach(call, attempt)
            return await self._reach.of(call, breach)

        return await disclosing(self._engine.steps, call, once)

    async def notification(self, call: Call) -> Notification:
        """`Task/[id]/$breach-notification`."""

        async def once(attempt: Attempt) -> Notification:
            _, breach = await self._breach(call, attempt)
            scope = await self._reach.of(call, breach)
            contact = await privacy_contact(self._engine, call)
            told = {"contact": contact, **{name: breach.text(name) for name in ("consequences", "measures")}}
            return Notification(breach, scope, contact, tuple(name for name, said in told.items() if not said))

        return await disclosing(self._engine.steps, call, once)

    async def letters(self, call: Call) -> list[ResourceKey]:
        """`Task/[id]/$breach-letters`: one for each patient whom it reached, once; ready to be sent, not sent."""

        async def once(attempt: Attempt) -> list[ResourceKey]:
            stored, breach = await self._breach(call, attempt)
            if not breach.says("high-risk"):
                raise UnprocessableError("Letters are due where the risk is high (GDPR Art. 34(1)): `high-risk`.")
            contact = await privacy_contact(self._engine, call)
            said = {name: breach.text(name) for name in ("nature", "consequences", "measures")}
            if missing := [name for name, text in {**said, "contact": contact}.items() if not text]:
                raise UnprocessableError(f"A letter needs {', '.join(missing)} (GDPR Art. 34(2)).")
            scope = await self._reach.of(call, breach)
            reached = scope.confirmed.resources | (scope.possible.resources if scope.intelligible else {})
            text = self.authority.letter.format(**said, contact=contact)
            return [await self._letter(call, stored, patient, text) for patient in sorted(reached)]

        return await disclosing(self._engine.steps, call, once)

    async def _letter(self, call: Call, breach: Stored, patient: str, text: str) -> ResourceKey:
        named = hashlib.sha256(f"{breach.key} {patient}".encode()).hexdigest()[:40]
        key = ResourceKey("Communication", f"breach-{named}")
        if await self._engine.store.read(key) is None:
            writing = Call(Interaction.UPDATE, self._server, call.instant, key.type, key.id, request_id=call.request_id)
            written = letter(key, breach.key, patient, text, call.instant)
            await self._engine.commit(writing, self._engine.drafts.of(key, written))
        return key

    async def _breach(self, call: Call, attempt: Attempt) -> tuple[Stored, Breach]:
        await self._engine.steps.admit(call)
        seen = await self._engine.look(replace(call, version=None))
        attempt.disclosed.append(seen)
        if not is_breach(seen.resource):
            raise UnprocessableError("This Task is no breach.")
        return seen, breach_of(seen.resource)


def letter(key: ResourceKey, breach: ResourceKey, patient: str, text: str, now: datetime) -> Json:
    return {
        "resourceType": "Communication",
        "id": key.id,
        "status": "preparation",
        "category": [{"coding": [{"system": SYSTEM, "code": LETTER}]}],
        "subject": {"reference": f"Patient/{patient}"},
        "recipient": [{"reference": f"Patient/{patient}"}],
        "about": [{"reference": str(breach)}],
        "note": [{"time": instant(now), "text": "Drawn up under GDPR Art. 34; not sent yet."}],
        "payload": [{"contentString": text}],
    }


def told(notification: Notification, authority: Authority, now: datetime) -> list[tuple[str, str, Any]]:
    """Name, type and value of what goes to the authority."""
    breach, scope = notification.breach, notification.scope
    content: list[tuple[str, str, Any]] = [
        ("authority", "String", authority.name),
        ("aware", "Instant", instant(breach.aware)),
        ("due", "Instant", instant(breach.due)),
        ("late", "Boolean", breach.is_late(now)),
        ("severity", "Code", breach.text("severity")),
        ("nature", "String", breach.text("nature")),
        *((name, "UnsignedInt", count) for name, count in numbers(scope).items()),
        ("intelligible", "Boolean", scope.intelligible),
        *(("because", "String", one) for one in scope.because),
        ("contact", "String", notification.contact),
        ("consequences", "String", breach.text("consequences")),
        ("measures", "String", breach.text("measures")),
        ("late-because", "String", breach.text("late-because")),
        ("form", "Uri", authority.form),
        ("largest-fine", "Money", {"value": authority.fine, "currency": authority.currency}),
        ("largest-fine-share", "Decimal", authority.fine_share),
        *(("missing", "Code", name) for name in notification.missing),
    ]
    return [(name, type, value) for name, type, value in content if value != ""]


def patients_of(scope: Scope) -> Sequence[tuple[str, str, int]]:
    """Whether confirmed or possible, the patient, and how many resources of theirs; what is confirmed comes once."""
    confirmed = [("confirmed", patient, len(found)) for patient, found in sorted(scope.confirmed.resources.items())]
    rest = sorted(one for one in scope.possible.resources.items() if one[0] not in scope.confirmed.resources)
    return [*confirmed, *(("possible", patient, len(found)) for patient, found in rest)]
