"""What happens at the door, as AuditEvents: attempts that failed, sign-ins, sign-outs, changed means of proof.

DICOM PS3.15 A.5.3.11 (User Authentication) and A.5.3.10 (Security Alert), whose codes FHIR's AuditEvent takes over.
https://hl7.org/fhir/R4/valueset-audit-event-sub-type.html
"""

from dataclasses import dataclass
from datetime import datetime

from fhir_server.audit.balp import DCM, PARTICIPATION, coding, concept
from fhir_server.engine.change import LegalBasis
from fhir_server.engine.ports import AuditLog
from fhir_server.kernel import json
from fhir_server.kernel.clock import instant
from fhir_server.kernel.json import Json

_AUTHENTICATION, _ALERT = ("110114", "User Authentication"), ("110113", "Security Alert")
_LOGIN, _LOGOUT = ("110122", "Login"), ("110123", "Logout")
_ATTRIBUTES = ("110137", "User Security Attributes Changed")
_KINDS = {
    "sign-out": (_AUTHENTICATION, _LOGOUT),
    "sign-out-everywhere": (_AUTHENTICATION, _LOGOUT),
    "password-set": (_ALERT, _ATTRIBUTES),
    "one-time-codes-enrolled": (_ALERT, _ATTRIBUTES),
    "passkey-enrolled": (_ALERT, _ATTRIBUTES),
    "recovery-codes-made": (_ALERT, _ATTRIBUTES),
    "second-factor-removed": (_ALERT, _ATTRIBUTES),
}
"""Every other action is an attempt to sign in."""

_SECURITY = coding("http://terminology.hl7.org/CodeSystem/audit-entity-type", "4")
_RESOURCE = coding("http://terminology.hl7.org/CodeSystem/object-role", "13")
_SUCCESS, _REFUSED = "0", "4"
_SOURCE = coding("http://terminology.hl7.org/CodeSystem/security-source-type", "3")


@dataclass(frozen=True, slots=True)
class _Entry:
    """An event that lacks its id and the instant at which it is recorded."""

    rest: Json
    bases: tuple[LegalBasis, ...] = ()
    grant: str = ""

    def event(self, event_id: str, recorded: datetime) -> bytes:
        return json.encode({"resourceType": "AuditEvent", "id": event_id, "recorded": instant(recorded), **self.rest})


class SignInLog:
    """`server` is the FHIR base of the observer."""

    def __init__(self, log: AuditLog, server: str) -> None:
        self._log, self._server = log, server

    async def witness(
        self,
        action: str,
        *,
        succeeded: bool,
        subject: str,
        name: str,
        fhir_user: str | None,
        address: str,
        factor: str,
    ) -> None:
        """Durable when it returns. `action` is a word of ours, told as it is."""
        kind, subkind = _KINDS.get(action, (_AUTHENTICATION, _LOGIN))
        observer = {"identifier": {"system": "urn:ietf:rfc:3986", "value": self._server}}
        event: Json = {
            "type": {**coding(DCM, kind[0]), "display": kind[1]},
            "subtype": [{**coding(DCM, subkind[0]), "display": subkind[1]}],
            "action": "E",
            "outcome": _SUCCESS if succeeded else _REFUSED,
            "outcomeDesc": action,
            "agent": [
                _person(subject, name, fhir_user, address),
                {"type": concept((DCM, "110150")), "who": observer, "requestor": False},
            ],
            "source": {"observer": observer, "type": [_SOURCE]},
        }
        if factor:
            # Which of a user's factors it was: people who share a user are told apart by it (row T75).
            event["entity"] = [{"type": _SECURITY, "role": _RESOURCE, "name": factor}]
        await self._log.append([_Entry(event)])


def _person(subject: str, name: str, fhir_user: str | None, address: str) -> Json:
    """Who it was about. Where nobody of that name is known, only the address is."""
    agent: Json = {"type": concept((PARTICIPATION, "IRCP")), "requestor": True}
    if subject:
        reference = {"reference": fhir_user} if fhir_user else {}
        agent |= {"who": {**reference, "identifier": {"value": subject}}, "name": name}
    return {**agent, "network": {"address": address, "type": "2"}} if address else agent
